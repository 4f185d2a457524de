"""Random horizontal flips."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.augment.base import Augmentation
from gantrain.core.memory import Memory
from gantrain.core.spec import Spec
from gantrain.registry import option, register


@register("augment")
@dataclass
class Flip(Augmentation):
    """Mirror each image left to right with some probability (the x-flip of Karras et al. 2020, app. B).

    At 1/2 D cannot tell an image from its mirror image, so G may draw either; below it, G learns the data's side.
    """

    name: str = option("flip", "registered name")
    probability: float = option(0.5, "probability that an image is mirrored", minimum=0, maximum=1)

    def why_unsupported(self, spec: Spec) -> str | None:
        return None if spec.is_image else "mirrors images, and this data is not images"

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        # One draw a sample, whatever the probability: streams stay aligned.
        return torch.rand(n, generator=generator) < self.probability

    def __call__(self, x: Tensor, draw: Tensor, memory: Memory | None = None) -> Tensor:
        # Dimension 3 is the width of [N, C, H, W].
        return torch.where(draw.view(-1, 1, 1, 1), x.flip(3), x)
