"""R1 and R2 by finite differences, which need no derivative of a derivative."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gantrain.penalties.base import FAKE, REAL, Pass
from gantrain.penalties.r1 import R1, R1R2
from gantrain.registry import option, register


@register("penalty")
@dataclass
class FiniteR1(R1):
    """gamma / 2 E |D(x) - D(x + sigma e)|^2 / sigma^2 at data x, e ~ N(0, I) (Lin et al. 2025, APT).

    Equal to R1 in expectation for a linear D, and up to O(sigma^2) for a smooth one. One draw of e for each sample
    makes it noisier than R1: that of a linear D varies by 2 |grad D|^4.
    """

    name: str = option("r1_finite", "registered name")
    sigma: float = option(0.01, "standard deviation of the noise, in the unit of the data", above=0)
    slopes_of: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[tuple[str, ...]] = (REAL,)

    def draw(self, real: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(len(real), len(self.kinds), *real.shape[1:], generator=generator)

    def __call__(self, seen: Pass) -> Tensor:
        samples = {REAL: seen.real, FAKE: seen.fake}
        cost = seen.real.new_zeros(())
        for i, kind in enumerate(self.kinds):
            moved = seen.value_at(samples[kind] + self.sigma * seen.draw[:, i])
            cost = cost + ((moved - seen.precise_logits(kind)) / self.sigma).square().mean()
        return 0.5 * cost


@register("penalty")
@dataclass
class FiniteR1R2(FiniteR1, R1R2):
    """The same at the data and at samples, as r1r2 is: each with noise of its own."""

    name: str = option("r1r2_finite", "registered name")
    gamma: float | None = option(None, "weight; null is that of R3GAN by pixels, and 1 for points", minimum=0)
    slopes_of: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[tuple[str, ...]] = (REAL, FAKE)
