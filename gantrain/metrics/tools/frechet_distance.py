"""The Frechet distance of Gaussians by symmetric eigenvalues, and its error from the same decompositions."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.sampling_error import tail_caveat
from gantrain.metrics.base import RunSpec
from gantrain.metrics.tools.errors import student_margin
from gantrain.metrics.tools.intervals import SquaredSpread

EXCHANGES = 40  # random ones of the rows of both sides, for an error
HALVINGS = 20  # random ones of both sides, for the value at infinite n


@dataclass(frozen=True)
class Gaussian:
    """A mean [d] and a covariance [d, d], float64 on the CPU."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def fit(cls, x: Tensor) -> Gaussian:
        """Return the mean and the unbiased covariance of x [N, d]."""
        return cls(x.mean(0), torch.atleast_2d(x.T.cov()))

    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Return the eigenvalues [r] of the covariance that are no rounding errors, and their vectors [d, r]."""
        values, vectors = torch.linalg.eigh(self.covariance)
        return values[above_rounding(values)], vectors[:, above_rounding(values)]

    def distance(self, other: Gaussian, roots: Tensor | None = None) -> float:
        """Return |m_a - m_b|^2 + tr(A + B) - 2 tr (A B)^1/2; by rounding, that of equal ones may be just below 0.

        ``roots`` are the eigenvalues of (A B)^1/2, where they are known.
        """
        if roots is None:
            values, vectors = self.spectrum()
            left = vectors * values.sqrt()  # A = L L', and A B has the eigenvalues of the symmetric L' B L
            values = torch.linalg.eigvalsh(left.T @ other.covariance @ left)
            roots = values[above_rounding(values)].sqrt()
        shift, spread = self.mean - other.mean, (self.covariance + other.covariance).trace()
        return float(shift @ shift + spread - 2 * roots.sum())


def above_rounding(values: Tensor) -> Tensor:
    """Return which eigenvalues of a positive semidefinite matrix, in ascending order, are no rounding errors."""
    return values > len(values) * torch.finfo(values.dtype).eps * values[-1:]


def why_too_few(run: RunSpec) -> str | None:
    """Return why no covariance of all dimensions of the features can be fitted to a run's samples, or None."""
    d = run.features.dimension(run.spec) or 0
    if run.n > d:
        return None
    return (
        f"{d:,} features take more than {d:,} samples a side, and there are {run.n:,}: give more as metric.n"
    )


def frechet(a: Tensor, b: Tensor) -> float:
    """Return the squared 2-Wasserstein distance of Gaussians fitted to a [N, d] and b [M, d], float64 on the CPU."""
    return Gaussian.fit(a).distance(Gaussian.fit(b))


def frechet_with_influence(a: Tensor, b: Tensor) -> tuple[float, Tensor]:
    """Return ``frechet`` of a, b [N, d], and by how much n times it changes with the weight of each pair of rows, [N].

    The gradient in a covariance is 1 - T, with T the optimal map to the other Gaussian (Dowson and Landau 1982): with
    A = L L' and L' B L = U diag(s) U', it is L^-1' U diag(s^1/2) U' L^-1 for a, and L U diag(s^-1/2) U' L' for b.
    """
    of_a, of_b = Gaussian.fit(a), Gaussian.fit(b)
    values, vectors = of_a.spectrum()
    left, inverse = vectors * values.sqrt(), vectors / values.sqrt()
    middle, turn = Gaussian(of_b.mean, left.T @ of_b.covariance @ left).spectrum()
    roots = middle.sqrt()
    x, y, shift = a - of_a.mean, b - of_b.mean, of_a.mean - of_b.mean
    of_x = 2 * x @ shift + x.square().sum(1) - (x @ (inverse @ turn)).square() @ roots
    of_y = -2 * y @ shift + y.square().sum(1) - (y @ (left @ turn)).square() @ roots.reciprocal()
    return of_a.distance(of_b, roots), of_x + of_y


def frechet_spread(a: Tensor, b: Tensor, seed: int) -> tuple[SquaredSpread, float]:
    """Return how ``frechet`` of a, b [N, d] varies, whose i-th rows may depend on each other, and its mean by chance.

    The linear part of its variance is that of the influence. Random exchanges of centred rows show the quadratic part,
    and what noise adds to the linear one. The scale is at least that of means that differ in a random direction.
    """
    n, draws = len(a), torch.Generator().manual_seed(seed)
    pooled = torch.cat([a - a.mean(0), b - b.mean(0)])
    values, noise = [], []
    for _ in range(EXCHANGES):
        first, second = pooled[torch.randperm(2 * n, generator=draws)].split(n)
        value, of_pairs = frechet_with_influence(first, second)
        values.append(value)
        noise.append(float(of_pairs.var()) / n)
    chance = statistics.fmean(values)
    quadratic = student_margin(EXCHANGES - 1) ** 2 * statistics.variance(values)
    value, of_pairs = frechet_with_influence(a, b)
    linear = max(float(of_pairs.var()) / n - statistics.fmean(noise), 0.0)
    covariance = Gaussian.fit(pooled).covariance
    of_means = 2 * float(covariance.square().sum() / covariance.trace()) / n if chance > 0 else 0.0
    scale = max(quadratic / (2 * chance), of_means) if chance > 0 else 0.0
    return SquaredSpread(linear, quadratic, scale, tail_caveat(of_pairs)), chance


def mean_of_halves(a: Tensor, b: Tensor, seed: int) -> float:
    """Return the mean of ``frechet`` of random halves of a, b [N, d], the same rows of both sides."""
    draws, values = torch.Generator().manual_seed(seed), []
    for _ in range(HALVINGS):
        for rows in torch.randperm(len(a), generator=draws)[: len(a) // 2 * 2].chunk(2):
            values.append(frechet(a[rows], b[rows]))
    return statistics.fmean(values)
