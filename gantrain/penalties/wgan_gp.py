"""Gradient penalties that pull D's slope towards 1: between data and samples, or around the data."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gantrain.penalties.base import Weighted, input_gradient
from gantrain.registry import option, register


def slope_cost(D: nn.Module, x: Tensor, y: Tensor | None) -> Tensor:
    """Return the batch mean of (|grad_x D(x)| - 1)^2, with the L2 norm of each sample's gradient."""
    return (torch.linalg.vector_norm(input_gradient(D, x, y), dim=1) - 1).square().mean()


@register("penalty")
@dataclass
class WGANGP(Weighted):
    """gamma E (|grad D| - 1)^2 on lines from data to samples (Gulrajani et al. 2017, eq. 3), one epsilon a sample."""

    name: str = option("wgan_gp", "registered name")
    gamma: float = option(10.0, "weight, the paper's lambda", minimum=0)
    differentiates_input: ClassVar[bool] = True

    def __call__(
        self, D: nn.Module, real: Tensor, fake: Tensor, y: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        # epsilon x + (1 - epsilon) G(z), epsilon uniform on [0, 1] for each sample.
        epsilon = torch.rand(len(real), *[1] * (real.dim() - 1), generator=generator).to(real)
        return self.gamma * slope_cost(D, epsilon * real + (1 - epsilon) * fake, y)


@register("penalty")
@dataclass
class DRAGAN(Weighted):
    """gamma E (|grad D(x + delta)| - 1)^2 around the data (Kodali et al. 2017, eq. 3).

    The perturbation is that of their released code: half the batch's standard deviation times uniform noise.
    """

    name: str = option("dragan", "registered name")
    gamma: float = option(10.0, "weight, the paper's lambda", minimum=0)
    differentiates_input: ClassVar[bool] = True

    def __call__(
        self, D: nn.Module, real: Tensor, fake: Tensor, y: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        # x + std(x) / 2 * u, u uniform on [0, 1] for each number.
        noise = torch.rand(real.shape, generator=generator).to(real)
        return self.gamma * slope_cost(D, real + 0.5 * real.std() * noise, y)
