"""A Gaussian, or a mixture of them, as a generator: x = mu + sigma z, whose density is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.models.base import Generator
from gantrain.models.mlp import FormulaModel
from gantrain.registry import option, register


class GaussianGenerator(Generator):
    """``G(z, y) -> x``: z [N, z_dim], x [N, d] = mu + L z[:d], L lower triangular, so that the covariance is L L^T.

    The diagonal of L is a plain parameter, as sigma is in Nowozin, Cseke and Tomioka 2016 (sec. 2.5): plain gradient
    descent then moves it as it does there. Where it turns negative, its absolute value counts.

    With several components a further number of z selects one, all with equal probability. The selection has no
    gradient, so the weights are not learned; ``log_prob`` is that of this sampler.
    """

    def __init__(self, model: Gaussian, d: int):
        super().__init__(model, [])
        count = model.components
        self.z_dim = max(self.z_dim, d + (count > 1))  # one more number selects a component
        # Equal components would get equal gradients and stay equal, so several of them start apart.
        apart = torch.randn(count, d) if count > 1 else torch.zeros(count, d)
        self.mu = nn.Parameter(model.mu + model.sigma * apart)
        self.sigma = nn.Parameter(torch.full((count, d), float(model.sigma)))
        self.below = nn.Parameter(torch.zeros(count, d * (d - 1) // 2)) if d > 1 else None

    def cholesky_factor(self) -> Tensor:
        """Return L of each component, shape [K, d, d]."""
        L = torch.diag_embed(self.sigma)
        if self.below is not None:
            row, column = torch.tril_indices(L.shape[1], L.shape[1], offset=-1, device=L.device)
            L = L.index_put((torch.arange(len(L), device=L.device)[:, None], row, column), self.below)
        return L

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        count, d = self.mu.shape
        # x = mu + L z, for rows: mu + z L^T
        if count == 1:
            return self.mu + z[:, :d] @ self.cholesky_factor()[0].T
        # Phi(z) is uniform on [0, 1]: its interval of length 1/K selects the component.
        which = (count * torch.special.ndtr(z[:, d])).long().clamp(max=count - 1)
        return self.mu[which] + (self.cholesky_factor()[which] @ z[:, :d, None]).squeeze(2)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log 1/K sum_k N(x; mu_k, L_k L_k^T) in nats, shape [N, d] to [N], in the parameters' precision."""
        count, d = self.mu.shape
        # Whitened residuals L^-1 (x - mu), by forward substitution: [K, d, N] to squared norms [K, N]
        away = (x - self.mu[:, None]).transpose(1, 2)
        squared = torch.linalg.solve_triangular(self.cholesky_factor(), away, upper=False).square().sum(1)
        height = -self.sigma.abs().log().sum(1) - 0.5 * d * math.log(2 * math.pi) - math.log(count)
        return torch.logsumexp(height[:, None] - 0.5 * squared, 0)

    def scalars(self) -> dict[str, Tensor]:
        """Return mean and standard deviation of its samples along each axis; nothing beyond two dimensions."""
        mu = self.mu.detach()
        if mu.shape[1] > 2:
            return {}
        # Law of total variance: mean of the components' variances plus variance of their means, [K, d] to [d]
        mean, within = mu.mean(0), self.cholesky_factor().detach().square().sum(2)
        std = (within + (mu - mean).square()).mean(0).sqrt()
        if len(mean) == 1:
            return {"mu": mean[0], "sigma": std[0]}
        return {"mu_0": mean[0], "mu_1": mean[1], "sigma_0": std[0], "sigma_1": std[1]}


@register("model")
@dataclass
class Gaussian(FormulaModel):
    """A Gaussian of full covariance, or an equal mixture of them, against a fully connected D."""

    tractable: ClassVar[bool] = True

    name: str = option("gaussian", "registered name")
    components: int = option(1, "Gaussians of equal weight; several start at random", minimum=1, maximum=1000)
    mu: float = option(0.0, "initial mean of every coordinate", minimum=-1e6, maximum=1e6)
    sigma: float = option(1.0, "initial standard deviation of every coordinate", above=0, maximum=1e6)

    def generator(self, spec: Spec) -> Generator:
        return GaussianGenerator(self, spec.shape[0])
