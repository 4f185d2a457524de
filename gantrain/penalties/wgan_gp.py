"""Gradient penalties that pull D's slope towards 1: between data and samples, or around the data."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gantrain.penalties.base import Pass, Weighted
from gantrain.registry import option, register


def slope_cost(slopes: Tensor) -> Tensor:
    """Return the batch mean of (|s| - 1)^2 over slopes s, shape [N, d], with the L2 norm of each."""
    return (torch.linalg.vector_norm(slopes, dim=1) - 1).square().mean()


@register("penalty")
@dataclass
class WGANGP(Weighted):
    """gamma E (|grad D| - 1)^2 on lines from data to samples (Gulrajani et al. 2017, eq. 3), one epsilon a sample."""

    name: str = option("wgan_gp", "registered name")
    gamma: float = option(10.0, "weight, the paper's lambda", minimum=0)
    needs_own_slopes: ClassVar[bool] = True

    def draw(self, real: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(len(real), *[1] * (real.dim() - 1), generator=generator)

    def __call__(self, seen: Pass) -> Tensor:
        # epsilon x + (1 - epsilon) G(z), epsilon uniform on [0, 1] for each sample.
        return slope_cost(seen.slope_at(seen.draw * seen.real + (1 - seen.draw) * seen.fake))


@register("penalty")
@dataclass
class DRAGAN(Weighted):
    """gamma E (|grad D(x + delta)| - 1)^2 around the data (Kodali et al. 2017, eq. 3).

    The perturbation is that of their released code: half the batch's standard deviation times uniform noise.
    """

    name: str = option("dragan", "registered name")
    gamma: float = option(10.0, "weight, the paper's lambda", minimum=0)
    needs_own_slopes: ClassVar[bool] = True
    averages_samples: ClassVar[bool] = False

    def draw(self, real: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(real.shape, generator=generator)

    def __call__(self, seen: Pass) -> Tensor:
        # x + std(x) / 2 * u, u uniform on [0, 1] for each number.
        return slope_cost(seen.slope_at(seen.real + 0.5 * seen.real.std() * seen.draw))
