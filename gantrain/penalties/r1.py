"""R1: the squared gradient of D at the data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gantrain.penalties.base import Penalty
from gantrain.registry import option, register


def squared_gradient(D: nn.Module, x: Tensor, y: Tensor | None) -> Tensor:
    """Return the squared L2 norm of each sample's own input gradient, shape [N], with a graph for D's update."""
    x = x.detach().float().requires_grad_(True)
    (gradient,) = torch.autograd.grad(D(x, y).sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1)


@register("penalty")
@dataclass
class R1(Penalty):
    """gamma / 2 E_p |grad_x D(x)|^2 (Mescheder, Geiger and Nowozin 2018, eq. 9); keeps D's bound valid but low."""

    name: str = option("r1", "registered name")
    gamma: float = option(1.0, "weight; the sum runs over all pixels, so large images want more", minimum=0)

    def __call__(self, D: nn.Module, real: Tensor, fake: Tensor, y: Tensor | None) -> Tensor:
        """Return gamma / 2 times the batch mean of the squared gradient at the data."""
        return 0.5 * self.gamma * squared_gradient(D, real, y).mean()
