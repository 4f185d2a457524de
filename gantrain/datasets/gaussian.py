"""One Gaussian, for which everything has a closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gantrain.datasets.base import GaussianModes, SyntheticPoints
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Gaussian(SyntheticPoints):
    """N(mean, std^2 I) in any dimension."""

    name: str = option("gaussian", "registered name")
    dim: int = option(1, "dimension of a point", minimum=1, maximum=10_000)
    mean: float = option(0.0, "mean of every coordinate", minimum=-1e6, maximum=1e6)
    std: float = option(1.0, "standard deviation of every coordinate", above=0, maximum=1e6)

    def density(self) -> GaussianModes:
        return GaussianModes(torch.full((1, self.dim), self.mean), self.std)
