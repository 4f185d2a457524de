"""No augmentation."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gantrain.augment.base import Augmentation
from gantrain.registry import option, register


@register("augment")
@dataclass
class NoAugmentation(Augmentation):
    """The null augmentation: returns its input, and draws nothing."""

    name: str = option("none", "registered name")
    active: ClassVar[bool] = False

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x
