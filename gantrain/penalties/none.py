"""No penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gantrain.penalties.base import Penalty
from gantrain.registry import option, register


@register("penalty")
@dataclass
class NoPenalty(Penalty):
    """The null penalty: 0 everywhere."""

    name: str = option("none", "registered name")
    active: ClassVar[bool] = False

    def __call__(
        self,
        D: nn.Module,
        real: Tensor,
        fake: Tensor,
        y: Tensor | None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return 0."""
        return real.new_zeros(())
