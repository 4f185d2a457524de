"""Whether updates are finite: read at once on the CPU; on a device judged there, and read now and then."""

from __future__ import annotations

import torch
from torch import Tensor

from gantrain.core.gradients import divergence
from gantrain.core.loss_scale import LossScale


class FiniteCheck:
    """The check of one network's updates.

    Args:
        name: ``d`` or ``g``.
    """

    def __init__(self, name: str):
        self.name = name
        self._is_refused: Tensor | None = None
        self._numbers: Tensor | None = (
            None  # loss and gradient norm of the first update that was refused, [2]
        )

    def add(self, loss: Tensor, norm: Tensor, scale: LossScale | None = None) -> Tensor | None:
        """Return 1.0 where an update must not be made, 0-dim on the device; None on the CPU.

        Args:
            loss: 0-dim.
            norm: Of its gradient, 0-dim.
            scale: Of the loss in float16, which may be too large: then the next update has a smaller one.

        Raises:
            Diverged: On the CPU, when one of the two is not finite.
        """
        # A sum is NaN or infinite when any term is.
        total = norm + loss
        if total.device.type == "cpu" and scale is None:
            if not total.isfinite().item():
                raise divergence(self.name, float(loss), float(norm))
            return None
        is_bad, numbers = total.isfinite().logical_not(), torch.stack([loss, norm])
        is_final = is_bad if scale is None else is_bad & scale.is_exhausted
        if self._is_refused is None or self._numbers is None:
            self._is_refused, self._numbers = is_final, numbers
        else:
            self._numbers = torch.where(self._is_refused, self._numbers, numbers)
            self._is_refused = self._is_refused | is_final
        return is_bad.float()

    def read(self) -> None:
        """Wait for the device. Raises Diverged when an update was refused."""
        if self._is_refused is not None and self._numbers is not None and self._is_refused.item():
            raise divergence(self.name, *self._numbers.tolist())
