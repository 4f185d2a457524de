"""One Gaussian: the data for which everything has a closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gantrain.datasets.base import Drawn, GaussianModes
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Gaussian(Drawn):
    """N(mean, std^2 I) in any dimension."""

    name: str = option("gaussian", "registered name")
    dim: int = option(1, "numbers in a point", minimum=1, maximum=10_000)
    mean: float = option(0.0, "mean of every coordinate", minimum=-1e6, maximum=1e6)
    std: float = option(1.0, "standard deviation of every coordinate", above=0, maximum=1e6)

    def density(self) -> GaussianModes:
        """Return the Gaussian as a mixture of one."""
        return GaussianModes(torch.full((1, self.dim), self.mean), self.std)
