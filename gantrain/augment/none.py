"""No augmentation."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gantrain.augment.base import Augmentation
from gantrain.core.memory import Memory
from gantrain.registry import option, register


@register("augment")
@dataclass
class NoAugmentation(Augmentation):
    """The null augmentation, which is never called."""

    name: str = option("none", "registered name")
    active: ClassVar[bool] = False

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.empty(n, 0)

    def __call__(self, x: Tensor, draw: Tensor, memory: Memory | None = None) -> Tensor:
        return x
