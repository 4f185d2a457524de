"""Gaussians on a ring: the classic picture of mode collapse, with its density known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from gantrain.datasets.base import Data, Dataset, GaussianModes, Spec, Split
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Ring(Dataset):
    """Gaussians evenly spaced on a circle (Metz et al. 2017, appendix A: 8 modes, radius 2, sd 0.02)."""

    name: str = option("ring", "registered name")
    modes: int = option(8, "number of Gaussians, each of them a class", minimum=1, maximum=1000)
    radius: float = option(2.0, "distance of their centres from 0", above=0, maximum=1e4)
    std: float = option(0.02, "standard deviation of each, along both axes", above=0, maximum=1e4)
    n: int = option(100_000, "training points drawn once", minimum=2, maximum=10_000_000)
    n_holdout: int = option(10_000, "held-out points", minimum=2, maximum=10_000_000)

    def spec(self) -> Spec:
        """Return points of two numbers, with the mode as class."""
        return Spec(shape=(2,), classes=self.modes)

    def density(self) -> GaussianModes:
        """Return the mixture that the points are drawn from."""
        angle = 2 * math.pi * torch.arange(self.modes, dtype=torch.float64) / self.modes
        return GaussianModes((self.radius * torch.stack([angle.cos(), angle.sin()], 1)).float(), self.std)

    def load(self, seed: int) -> Data:
        """Draw the points by ``seed``."""
        density, generator = self.density(), torch.Generator().manual_seed(seed)
        train, held = (Split(*density.sample(n, generator)) for n in (self.n, self.n_holdout))
        return Data(self.spec(), train, held, density)
