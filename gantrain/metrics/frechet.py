"""The Frechet distance between Gaussians fitted to samples and to data, known as FID."""

import statistics
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.sampling_error import tail_caveat
from gantrain.metrics.base import Evaluation, Metric
from gantrain.metrics.tools.classifier import feature_kind, features, features_of_sides
from gantrain.metrics.tools.errors import near_equality
from gantrain.registry import option, register

MAX_DIMS, SAMPLES_PER_DIM = 64, 5
EXCHANGES = 40  # random ones of the rows of both sides, for an error
ROWS = 1000  # samples of which principal components are computed


def frechet(a: Tensor, b: Tensor) -> float:
    """Return the squared 2-Wasserstein distance of Gaussians fitted to a [N, d] and b [M, d], float64 on the CPU.

    Computed by torch-fidelity's functions; by rounding, equal samples may be slightly below 0.
    """
    import numpy as np
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    # |m_a - m_b|^2 + tr(A + B - 2 (A B)^1/2), with means m and covariances A and B.
    gaussians = [fid_features_to_statistics(x) for x in (a, b)]
    for gaussian in gaussians:
        # NumPy returns a scalar as the covariance of one dimension.
        gaussian["sigma"] = np.atleast_2d(gaussian["sigma"])
    return float(fid_statistics_to_metric(*gaussians, verbose=False)[KEY_METRIC_FID])


def influence(a: Tensor, b: Tensor) -> Tensor:
    """Return by how much n times ``frechet`` of a, b [N, d] changes with the weight of each pair of rows, shape [N].

    The gradient in a covariance is 1 - T, with T the optimal map to the other Gaussian (Dowson and Landau 1982).
    """
    (mean_a, cov_a), (mean_b, cov_b) = ((x.mean(0), torch.atleast_2d(x.T.cov())) for x in (a, b))
    root = _power(cov_a, 0.5)
    middle = root @ cov_b @ root
    back = root @ _power(middle, -0.5) @ root  # from b to a
    inverse = _power(cov_a, -0.5)
    forth = inverse @ _power(middle, 0.5) @ inverse
    x, y, shift = a - mean_a, b - mean_b, mean_a - mean_b
    of_x = 2 * x @ shift + (x.square() - x * (x @ forth)).sum(1)
    of_y = -2 * y @ shift + (y.square() - y * (y @ back)).sum(1)
    return of_x + of_y


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Return a power of a positive semidefinite matrix; of eigenvalues that are rounding errors only, 0."""
    values, vectors = torch.linalg.eigh(matrix)
    is_known = values > 1e-10 * values.max()
    return (vectors * torch.where(is_known, values.clamp(min=1e-300) ** exponent, 0.0)) @ vectors.T


def frechet_error(a: Tensor, b: Tensor, seed: int) -> Estimate:
    """Return the standard error of ``frechet`` of a, b [N, d], whose i-th rows may depend on each other.

    Its variance has a part that is linear in the samples, that of ``influence``, and one that is quadratic and alone
    where both laws are equal. Random exchanges of centred rows show the quadratic part, and what noise adds to the
    linear one.
    """
    n, draws = len(a), torch.Generator().manual_seed(seed)
    x, y = a - a.mean(0), b - b.mean(0)
    values, noise = [], []
    for _ in range(EXCHANGES):
        first, second = torch.cat([x, y])[torch.randperm(2 * n, generator=draws)].split(n)
        values.append(frechet(first, second))
        noise.append(float(influence(first, second).var()) / n)
    quadratic = statistics.variance(values)
    of_pairs = influence(a, b)
    linear = max(float(of_pairs.var()) / n - statistics.fmean(noise), 0.0)
    unbiased = frechet(a, b) - statistics.fmean(values)  # of equal laws it is above 0 by about their mean
    caveat = tail_caveat(of_pairs) or near_equality(linear, quadratic, unbiased)
    return Estimate((linear + quadratic) ** 0.5, caveat=caveat)


def components(x: Tensor, dims: int) -> Tensor:
    """Return the leading principal axes of the first 1,000 rows, orthonormal, shape [N, d] to [d, dims]."""
    x = x[:ROWS] - x[:ROWS].mean(0)
    n, d = x.shape
    if d <= n:
        return torch.linalg.eigh(x.T @ x).eigenvectors[:, -dims:]
    # X'u is an eigenvector of X'X where u is one of XX', the smaller matrix; QR keeps the axes orthonormal where the
    # data have no spread left.
    return torch.linalg.qr(x.T @ torch.linalg.eigh(x @ x.T).eigenvectors[:, -dims:]).Q


@register("metric")
@dataclass
class Frechet(Metric):
    """FID (Heusel et al. 2017) on the features of a classifier of this data, or on pixels or coordinates.

    A covariance needs more samples than dimensions, so features are projected on leading principal components of the
    held-out data: at most 64, and at most one for every five samples; differences outside of them do not count. A
    perfect generator is still above 0: n and m samples of one N(0, I_d) give (d + d (d + 1) / 4) (1/n + 1/m) on
    average. So compare values of equal n and dims only, and with the floor. It is no published FID, which is computed
    on the features of an Inception network.
    """

    name: str = option("frechet", "registered name")
    tags = ("divergence/frechet",)  # in the square of the features' unit

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        d = features(evaluation.data, evaluation.real[0][:1]).shape[1]
        own = {"features": feature_kind(evaluation.data), "features_d": d, "dims": self.dims(evaluation, d)}
        return super().protocol(evaluation) | own

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        real, fake = self.projections(evaluation)
        return {"divergence/frechet": Estimate(frechet(real, fake), n=len(fake))}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        return {"divergence/frechet": frechet_error(*self.projections(evaluation), evaluation.seed)}

    def projections(self, evaluation: Evaluation) -> tuple[Tensor, Tensor]:
        """Return the features of both sides that are compared, each [n, dims], on the CPU."""
        real, fake = evaluation.once(features_of_sides)
        dims = self.dims(evaluation, real.shape[1])
        if dims < real.shape[1]:
            axes = components(real, dims)
            real, fake = real @ axes, fake @ axes
        return real.cpu(), fake.cpu()

    @staticmethod
    def dims(evaluation: Evaluation, d: int) -> int:
        """Return on how many of ``d`` dimensions the Gaussians are fitted."""
        return min(d, MAX_DIMS, max(1, evaluation.n // SAMPLES_PER_DIM))
