"""Gaussians on a ring: the classic example of mode collapse."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from gantrain.datasets.base import GaussianModes, SyntheticPoints
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Ring(SyntheticPoints):
    """Gaussians evenly spaced on a circle (Metz et al. 2017, appendix A: 8 modes, radius 2, sd 0.02)."""

    name: str = option("ring", "registered name")
    modes: int = option(8, "number of Gaussians, each of them a class", minimum=1, maximum=1000)
    radius: float = option(2.0, "distance of their centres from 0", above=0, maximum=1e4)
    std: float = option(0.02, "standard deviation of each, along both axes", above=0, maximum=1e4)

    def density(self) -> GaussianModes:
        angle = 2 * math.pi * torch.arange(self.modes, dtype=torch.float64) / self.modes
        return GaussianModes((self.radius * torch.stack([angle.cos(), angle.sin()], 1)).float(), self.std)
