"""The arms of a spiral: connected curves instead of separate modes."""

import math
from dataclasses import dataclass

import torch

from gantrain.core.spec import Spec
from gantrain.datasets.base import Split, Synthetic
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Spiral(Synthetic):
    """Noisy points on Archimedean arms r = radius t, angle = 2 pi turns t, t the root of a uniform number."""

    name: str = option("spiral", "registered name")
    arms: int = option(2, "arms, evenly rotated, each of them a class", minimum=1, maximum=100)
    turns: float = option(1.5, "turns of an arm around 0", above=0, maximum=100)
    radius: float = option(2.0, "distance of an arm's end from 0", above=0, maximum=1e4)
    std: float = option(0.03, "standard deviation of the noise along both axes", minimum=0, maximum=1e4)

    def spec(self) -> Spec:
        return Spec(shape=(2,), classes=self.arms if self.arms > 1 else 0)

    def sample(self, n: int, generator: torch.Generator) -> Split:
        arm = torch.randint(self.arms, (n,), generator=generator)
        t = torch.rand(n, generator=generator).sqrt()  # evenly dense along the arm, whose length grows with t
        angle = 2 * math.pi * (self.turns * t + arm / self.arms)
        # Polar to Cartesian coordinates: [n] to [n, 2]
        curve = self.radius * t[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
        x = curve + self.std * torch.randn(n, 2, generator=generator)
        return Split(x, arm if self.arms > 1 else None)
