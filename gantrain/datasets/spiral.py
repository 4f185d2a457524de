"""Two arms of a spiral: one connected curve to follow instead of modes to find."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Dataset, Split
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Spiral(Dataset):
    """Noisy points on Archimedean arms r = radius t, angle = 2 pi turns t, with t the root of a uniform number."""

    name: str = option("spiral", "registered name")
    arms: int = option(2, "arms, evenly turned, each of them a class", minimum=1, maximum=100)
    turns: float = option(1.5, "how often an arm goes round", above=0, maximum=100)
    radius: float = option(2.0, "distance of an arm's end from 0", above=0, maximum=1e4)
    std: float = option(0.03, "standard deviation of the noise along both axes", minimum=0, maximum=1e4)
    n: int = option(100_000, "training points drawn once", minimum=2, maximum=10_000_000)
    n_holdout: int = option(10_000, "held-out points", minimum=2, maximum=10_000_000)

    def spec(self) -> Spec:
        """Return points of two numbers, with the arm as class where there are several."""
        return Spec(shape=(2,), classes=self.arms if self.arms > 1 else 0)

    def load(self, seed: int) -> Data:
        """Draw the points by ``seed``."""
        generator = torch.Generator().manual_seed(seed)
        train, held = (self._draw(n, generator) for n in (self.n, self.n_holdout))
        return Data(self.spec(), train, held)

    def _draw(self, n: int, generator: torch.Generator) -> Split:
        arm = torch.randint(self.arms, (n,), generator=generator)
        t = torch.rand(n, generator=generator).sqrt()  # evenly dense along the arm, whose length grows with t
        angle = 2 * math.pi * (self.turns * t + arm / self.arms)
        curve = self.radius * t[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
        x = curve + self.std * torch.randn(n, 2, generator=generator)
        return Split(x, arm if self.arms > 1 else None)
