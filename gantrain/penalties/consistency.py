"""Consistency: D says the same of data and of the data moved a little."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.penalties.base import REAL, Pass, Weighted
from gantrain.registry import option, register


def shifted(x: Tensor, by: Tensor) -> Tensor:
    """Return images [N, C, H, W] moved by whole pixels [N, 2], down and right, and mirrored at their edges."""
    for dim, pixels in zip((2, 3), by.unbind(1), strict=True):
        size = x.shape[dim]
        source = torch.arange(size, device=x.device) - pixels[:, None]
        inside = source.abs()  # -1 is 1, and size is size - 2
        inside = (size - 1) - ((size - 1) - inside).abs()
        shape = [len(x), 1, 1, 1]
        shape[dim] = size
        x = x.gather(dim, inside.reshape(shape).expand_as(x))
    return x


@register("penalty")
@dataclass
class Consistency(Weighted):
    """gamma E |D(x) - D(T(x))|^2 at data, T a flip and a shift of x (CR-GAN, Zhang et al. 2020, eq. 3).

    For data that are not images T adds Gaussian noise. What T does to x, D cannot hold against a sample: leave out
    flips where the data have a side, as digits do.
    """

    name: str = option("consistency", "registered name")
    gamma: float = option(10.0, "weight, the paper's lambda", minimum=0)
    flip: bool = option(True, "mirror half of the images left to right")
    shift: float = option(
        0.125, "largest shift, as a share of each side; 0.125 is 4 of 32 pixels", minimum=0, maximum=0.5
    )
    sigma: float = option(
        0.05, "standard deviation of the noise on data that are not images, in their unit", minimum=0
    )

    def draw(self, real: Tensor, generator: torch.Generator) -> Tensor:
        # Of an image: whether it is mirrored, and its shifts as numbers in [0, 1].
        is_image = real.dim() == 4
        return (
            torch.rand(len(real), 3, generator=generator)
            if is_image
            else torch.randn(real.shape, generator=generator)
        )

    def transform(self, x: Tensor, draw: Tensor) -> Tensor:
        """Return T(x) of data [N, ...]."""
        if x.dim() != 4:
            return x + self.sigma * draw
        if self.flip:
            x = torch.where(draw[:, 0].view(-1, 1, 1, 1) < 0.5, x.flip(3), x)
        # Every whole number of pixels from -most to most is as probable.
        most = [int(self.shift * size + 0.5) for size in x.shape[2:]]
        pixels = [
            (u * (2 * m + 1)).long().clamp(max=2 * m) - m
            for u, m in zip(draw[:, 1:].unbind(1), most, strict=True)
        ]
        return shifted(x, torch.stack(pixels, 1))

    def __call__(self, seen: Pass) -> Tensor:
        moved = seen.value_at(self.transform(seen.real, seen.draw))
        return (moved - seen.precise_logits(REAL)).square().mean()
