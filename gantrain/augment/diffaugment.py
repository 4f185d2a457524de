"""Differentiable augmentation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.augment.base import Augmentation
from gantrain.core.memory import Memory
from gantrain.core.spec import Spec
from gantrain.registry import option, register

COLOUR, TRANSLATION, CUTOUT = POLICIES = ("colour", "translation", "cutout")
SHIFT, HOLE = 1 / 8, 1 / 2  # shares of a side: the largest shift, and the side of what is cut out


@register("augment")
@dataclass
class DiffAugment(Augmentation):
    """Colours, shifts and holes of every image that D sees (Zhao et al. 2020, sec. 3.2 and the authors' code).

    Brightness is shifted by up to 0.5 in the unit of images, which lie in [-1, 1]; saturation is multiplied by up to 2,
    contrast by 0.5 to 1.5. Shifts are by whole pixels, and what comes in is 0, as are holes.
    """

    name: str = option("diffaugment", "registered name")
    policy: list[str] = option([*POLICIES], "what is done, in this order", choices=POLICIES)

    def why_unsupported(self, spec: Spec) -> str | None:
        return None if spec.is_image else "transforms images, and this data is not images"

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, 7, generator=generator)

    def __call__(self, x: Tensor, draw: Tensor, memory: Memory | None = None) -> Tensor:
        numbers = draw.to(x.dtype)
        for name in self.policy:
            if name == COLOUR:
                x = recolour(x, numbers[:, :3])
            elif name == TRANSLATION:
                x = shift(x, numbers[:, 3:5])
            else:
                x = cut_out(x, numbers[:, 5:])
        return x


def recolour(x: Tensor, numbers: Tensor) -> Tensor:
    """Return images [N, C, H, W] with brightness, saturation and contrast by numbers in [0, 1), [N, 3].

    Grey has no saturation; a fourth channel, the transparency, is kept.
    """
    brightness, saturation, contrast = numbers[:, :, None, None, None].unbind(1)
    colour = x[:, :3] + (brightness - 0.5)
    grey = colour.mean(1, keepdim=True)
    colour = grey + 2 * saturation * (colour - grey)
    level = colour.mean((1, 2, 3), keepdim=True)
    colour = level + (contrast + 0.5) * (colour - level)
    return torch.cat([colour, x[:, 3:]], 1)


def shift(x: Tensor, numbers: Tensor) -> Tensor:
    """Return images [N, C, H, W] moved right and down by whole pixels by numbers in [0, 1), [N, 2]."""
    # Where each column and row comes from, and whether that is in the image
    sides = (x.shape[3], x.shape[2])
    largest = [int(SHIFT * side + 0.5) for side in sides]
    sources = [
        torch.arange(side, device=x.device) - (number * (2 * most + 1)).floor().long()[:, None] + most
        for side, most, number in zip(sides, largest, numbers.unbind(1), strict=True)
    ]
    inside = [(source >= 0) & (source < side) for source, side in zip(sources, sides, strict=True)]
    across, down = (source.clamp(0, side - 1) for source, side in zip(sources, sides, strict=True))
    index = (down[:, :, None] * sides[0] + across[:, None]).flatten(1)
    moved = x.flatten(2).gather(2, index[:, None].expand(-1, x.shape[1], -1)).view_as(x)
    return moved * (inside[1][:, None, :, None] & inside[0][:, None, None])


def cut_out(x: Tensor, numbers: Tensor) -> Tensor:
    """Return images [N, C, H, W] that are 0 in a rectangle whose place numbers in [0, 1) say, [N, 2]."""
    holes = []
    for side, number in zip((x.shape[3], x.shape[2]), numbers.unbind(1), strict=True):
        hole = int(HOLE * side + 0.5)
        # The middle of the hole may be anywhere, so the border cuts some of them.
        first = (number * (side + 1 - hole % 2)).floor()[:, None] - hole // 2
        place = torch.arange(side, device=x.device)
        holes.append((place >= first) & (place < first + hole))
    return x * ~(holes[1][:, None, :, None] & holes[0][:, None, None])
