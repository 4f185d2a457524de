"""A mixture of Gaussians with given weights, means and deviations, in one or more dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from gantrain.datasets.base import GaussianModes, SyntheticPoints
from gantrain.errors import ConfigError
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Mixture(SyntheticPoints):
    """Round Gaussians of any weights, means and standard deviations.

    The default is the mixture of Nowozin, Cseke and Tomioka 2016 (sec. 2.5), as their table 3 determines it.
    """

    name: str = option("gaussian_mixture", "registered name")
    weights: list[float] = option([0.33, 0.67], "weight of each Gaussian, of any sum", above=0)
    means: list[Any] = option(
        [-1.0, 2.0], "mean of each: numbers, or lists of d numbers", minimum=-1e6, maximum=1e6
    )
    stds: list[float] = option(
        [0.255, 1.415], "standard deviation of each, along every axis", above=0, maximum=1e6
    )

    def __post_init__(self) -> None:
        self._points = [mean if isinstance(mean, list) else [mean] for mean in self.means]
        count = len(self.means)
        if not count or len(self.weights) != count or len(self.stds) != count:
            lengths = f"{len(self.weights)} weights, {count} means and {len(self.stds)} stds"
            raise ConfigError("dataset.means", f"there are {lengths}", "give one of each for every Gaussian")
        is_numeric = all(
            isinstance(v, int | float) and not isinstance(v, bool) for row in self._points for v in row
        )
        if not is_numeric or len({len(row) for row in self._points}) != 1 or not self._points[0]:
            raise ConfigError(
                "dataset.means",
                f"{self.means} are not points of one dimension",
                "give [-1,2] or [[0,0],[1,1]]",
            )

    def density(self) -> GaussianModes:
        modes = torch.tensor(self._points, dtype=torch.float32)
        return GaussianModes(modes, torch.tensor(self.stds), torch.tensor(self.weights))
