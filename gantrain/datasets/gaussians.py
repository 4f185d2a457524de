"""Gaussians, whose density is known: one, a given mixture, and the rings and grids of work on mode collapse."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from gantrain.datasets.base import GaussianModes, SyntheticPoints
from gantrain.errors import ConfigError
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
        return GaussianModes(torch.full((1, self.dim), self.mean), self.std)  # one mode, so no classes


@register("dataset")
@dataclass
class Mixture(SyntheticPoints):
    """Round Gaussians of any weights, means and standard deviations.

    The default is the mixture of Nowozin, Cseke and Tomioka 2016 (sec. 2.5), as their table 3 determines it.
    """

    name: str = option("gaussian_mixture", "registered name")
    weights: list[float] = option([0.33, 0.67], "weight of each Gaussian, scaled to a sum of 1", above=0)
    means: list[Any] = option([-1.0, 2.0], "means: numbers, or lists of d numbers", minimum=-1e6, maximum=1e6)
    stds: list[float] = option([0.255, 1.415], "standard deviation of each Gaussian", above=0, maximum=1e6)

    def __post_init__(self) -> None:
        self._points = [mean if isinstance(mean, list) else [mean] for mean in self.means]
        count = len(self.means)
        if not count or len(self.weights) != count or len(self.stds) != count:
            lengths = f"{len(self.weights)} weights, {count} means and {len(self.stds)} stds"
            raise ConfigError("dataset.means", f"there are {lengths}", "give one of each for every Gaussian")
        # Each mean a point of the same, positive number of coordinates; true and false are no numbers here.
        is_numeric = all(type(number) in (int, float) for point in self._points for number in point)
        if not is_numeric or len({len(point) for point in self._points}) != 1 or not self._points[0]:
            what = f"{self.means} are not points of one dimension"
            raise ConfigError("dataset.means", what, "give [-1,2] or [[0,0],[1,1]]")

    def density(self) -> GaussianModes:
        modes = torch.tensor(self._points, dtype=torch.float32)
        return GaussianModes(modes, torch.tensor(self.stds), torch.tensor(self.weights))


@register("dataset")
@dataclass
class Ring(SyntheticPoints):
    """Gaussians evenly spaced on a circle (Metz et al. 2017, appendix A: 8 modes, radius 2, sd 0.02)."""

    name: str = option("ring", "registered name")
    modes: int = option(8, "number of Gaussians, each of them a class", minimum=1, maximum=1000)
    radius: float = option(2.0, "distance of their centres from 0", above=0, maximum=1e4)
    std: float = option(0.02, "standard deviation of each Gaussian, along both axes", above=0, maximum=1e4)

    def density(self) -> GaussianModes:
        # Centres in float64, rounded once: [K] angles to [K, 2]
        angle = 2 * math.pi * torch.arange(self.modes, dtype=torch.float64) / self.modes
        return GaussianModes((self.radius * torch.stack([angle.cos(), angle.sin()], 1)).float(), self.std)


@register("dataset")
@dataclass
class Grid(SyntheticPoints):
    """Gaussians on {-4, -2, 0, 2, 4}^2 with sd 0.05 (Lin et al. 2018, sec. 4.1)."""

    name: str = option("grid", "registered name")
    side: int = option(5, "Gaussians along each side of the square, each a class", minimum=1, maximum=32)
    spacing: float = option(2.0, "distance between neighbours", above=0, maximum=1e4)
    std: float = option(0.05, "standard deviation of each Gaussian, along both axes", above=0, maximum=1e4)

    def density(self) -> GaussianModes:
        # Centred on 0: [side] to [side^2, 2]
        axis = self.spacing * (torch.arange(self.side) - (self.side - 1) / 2)
        return GaussianModes(torch.cartesian_prod(axis, axis), self.std)
