"""Gaussians on a square grid, for mode collapse: harder than the ring."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gantrain.datasets.base import GaussianModes, SyntheticPoints
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Grid(SyntheticPoints):
    """Gaussians on {-4, -2, 0, 2, 4}^2 with sd 0.05 (Lin et al. 2018, sec. 4.1)."""

    name: str = option("grid", "registered name")
    side: int = option(
        5, "Gaussians along each side; side squared in all, each a class", minimum=1, maximum=32
    )
    spacing: float = option(2.0, "distance between neighbours", above=0, maximum=1e4)
    std: float = option(0.05, "standard deviation of each, along both axes", above=0, maximum=1e4)

    def density(self) -> GaussianModes:
        at = self.spacing * (torch.arange(self.side) - (self.side - 1) / 2)
        return GaussianModes(torch.cartesian_prod(at, at), self.std)
