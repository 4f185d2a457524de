"""The factor on a loss that keeps its gradients within the range of float16."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Those of torch.amp.GradScaler, which reads its state on the host at each update.
START, INTERVAL, MIN_SCALE, MAX_SCALE = 2.0**16, 2000, 1.0, 2.0**24


@dataclass(frozen=True)
class LossScale:
    """A factor that doubles after 2,000 finite updates and halves after one that is not (Micikevicius et al. 2018).

    Attributes:
        scale: A power of 2, so that scaling is exact; float32, 0-dim.
        streak: Finite updates since its last change; int32, 0-dim.
    """

    scale: Tensor
    streak: Tensor

    @classmethod
    def create(cls, device: torch.device) -> LossScale:
        """Return the scale of a first update."""
        return cls(torch.full((), START, device=device), torch.zeros((), dtype=torch.int32, device=device))

    @torch.no_grad()
    def unscale(self, gradients: list[Tensor]) -> None:
        """Turn the gradients of the loss times ``scale`` into those of the loss, in place."""
        torch._foreach_mul_(gradients, 1 / self.scale)

    @torch.no_grad()
    def adapt(self, is_finite: Tensor) -> None:
        """Set the scale of the next update; ``is_finite``, 0-dim bool, says whether this one was made."""
        streak = torch.where(is_finite, self.streak + 1, 0)
        is_long = streak >= INTERVAL
        factor = torch.where(is_finite, torch.where(is_long, 2.0, 1.0), 0.5)
        self.scale.mul_(factor).clamp_(max=MAX_SCALE)
        self.streak.copy_(torch.where(is_long, 0, streak))

    @property
    def is_exhausted(self) -> Tensor:
        """Whether the gradients of the loss itself are not finite, 0-dim: a scale below 1 would not mend that."""
        return self.scale < MIN_SCALE
