"""A small normalising flow: an invertible generator, so that its density is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.models.base import Generator
from gantrain.models.mlp import FormulaModel
from gantrain.registry import option, register


class SinhArcsinh(nn.Module):
    """``z -> x, log|dx/dz|``: each coordinate by shift + scale sinh(tail arcsinh(z) + skew) (Jones, Pewsey 2009).

    z and x have shape [N, d], the logarithm [N]. A tail above 1 makes tails heavier; scale and tail are positive.
    """

    def __init__(self, d: int):
        super().__init__()
        self.shift, self.skew = nn.Parameter(0.1 * torch.randn(d)), nn.Parameter(torch.zeros(d))
        self.log_scale, self.log_tail = nn.Parameter(torch.zeros(d)), nn.Parameter(torch.zeros(d))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        bent = self.log_tail.exp() * torch.asinh(z) + self.skew
        return self.shift + self.log_scale.exp() * torch.sinh(bent), self._slope(z, bent)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and log|dx/dz| there."""
        bent = torch.asinh((x - self.shift) * (-self.log_scale).exp())
        z = torch.sinh((bent - self.skew) * (-self.log_tail).exp())
        return z, self._slope(z, bent)

    def _slope(self, z: Tensor, bent: Tensor) -> Tensor:
        # log cosh without overflow; the last term is log d arcsinh(z)/dz.
        cosh = bent.abs() + torch.log1p((-2 * bent.abs()).exp()) - math.log(2)
        return (self.log_scale + self.log_tail + cosh - torch.log(torch.hypot(z, torch.ones_like(z)))).sum(1)


def hidden_layers(inputs: int, width: int, depth: int, activation: nn.Module) -> nn.Sequential:
    """Return ``depth`` linear layers of ``width``, each with an activation: [N, inputs] to [N, width]."""
    sizes = [inputs] + [width] * depth
    return nn.Sequential(*(layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), activation)))


class Coupling(nn.Module):
    """``z -> x, log|dx/dz|``: one half shifts and scales the other (Dinh et al. 2017, eqs. 7 and 8).

    z and x have shape [N, d], d at least 2, the logarithm [N]. A scale is between exp(-2) and exp(2).

    Args:
        d: Numbers in a point.
        model: Width and depth of the network.
        second: Whether the second half is the one that changes.
    """

    def __init__(self, d: int, model: Flow, second: bool):
        super().__init__()
        self.sizes = [(d + 1) // 2, d // 2]
        self.second = second
        fixed, moved = self.sizes if second else self.sizes[::-1]
        self.body = hidden_layers(fixed, model.width, model.depth, nn.SiLU())
        self.out = nn.Linear(model.width, 2 * moved)
        nn.init.normal_(self.out.weight, std=0.01)  # near the identity, where every weight has a gradient
        nn.init.zeros_(self.out.bias)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        fixed, moved, stretch, shift = self._parts(z)
        # The Jacobian is triangular, so that log|det| is the sum of the log scales.
        return self._join(fixed, moved * stretch.exp() + shift), stretch.sum(1)

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and log|dx/dz| there."""
        fixed, moved, stretch, shift = self._parts(x)
        return self._join(fixed, (moved - shift) * (-stretch).exp()), stretch.sum(1)

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the half that stays, the half that moves, and the logarithm of its scale and its shift."""
        first, second = x.split(self.sizes, 1)
        fixed, moved = (first, second) if self.second else (second, first)
        stretch, shift = self.out(self.body(fixed)).chunk(2, 1)
        # Soft clipping to (-2, 2), with slope 1 at 0
        return fixed, moved, 2 * torch.tanh(stretch / 2), shift

    def _join(self, fixed: Tensor, moved: Tensor) -> Tensor:
        return torch.cat([fixed, moved] if self.second else [moved, fixed], 1)


class FlowGenerator(Generator):
    """``G(z, y) -> x``: z [N, z_dim] of which the first d numbers are used, x [N, d], one to one."""

    def __init__(self, model: Flow, d: int):
        super().__init__(model, [])
        self.d, self.z_dim = d, max(self.z_dim, d)
        # In one dimension there are no halves: monotone curves. Else couplings, then a curve for each coordinate.
        kinds = [SinhArcsinh(1) if d == 1 else Coupling(d, model, i % 2 == 0) for i in range(model.layers)]
        self.layers = nn.ModuleList(kinds if d == 1 else [*kinds, SinhArcsinh(d)])

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = z[:, : self.d]
        for layer in self.layers:
            x, _ = layer(x)
        return x

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents [N, d] that become x [N, d], and log|det dx/dz| there, [N]."""
        slope = x.new_zeros(len(x))
        for layer in reversed(self.layers):
            x, more = layer.inverse(x)  # type: ignore[operator]
            slope = slope + more
        return x, slope

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log N(z; 0, I) - log|det dx/dz| at the z of x, in nats, shape [N, d] to [N]."""
        z, slope = self.inverse(x)
        return -0.5 * z.square().sum(1) - 0.5 * self.d * math.log(2 * math.pi) - slope


@register("model")
@dataclass
class Flow(FormulaModel):
    """A normalising flow against a fully connected D: affine couplings, in one dimension monotone curves."""

    tractable: ClassVar[bool] = True

    name: str = option("flow", "registered name")
    width: int = option(64, "units of each hidden layer, of D and of each coupling", minimum=1, maximum=65536)
    depth: int = option(2, "hidden layers of D and of each coupling", minimum=1, maximum=100)
    layers: int = option(8, "couplings in G, or monotone curves in one dimension", minimum=2, maximum=1000)

    def generator(self, spec: Spec) -> Generator:
        return FlowGenerator(self, spec.shape[0])
