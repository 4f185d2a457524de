"""The Frechet distance between Gaussians fitted to samples and to data, known as FID."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import Evaluation, Metric
from gantrain.metrics.tools.frechet_distance import frechet, frechet_error
from gantrain.registry import option, register

MAX_DIMS, SAMPLES_PER_DIM = 64, 5
ROWS = 1000  # samples of which principal components are computed


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
    reads_features = True
    tags = ("divergence/frechet",)  # in the square of the features' unit

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | {"dims": self.dims(evaluation, evaluation.extractor.dimension)}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        real, fake = self.projections(evaluation)
        return {"divergence/frechet": Estimate(frechet(real, fake), n=len(fake))}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        return {"divergence/frechet": frechet_error(*self.projections(evaluation), evaluation.seed)}

    def projections(self, evaluation: Evaluation) -> tuple[Tensor, Tensor]:
        """Return the features of both sides that are compared, each [n, dims], on the CPU."""
        real, fake = evaluation.features_of_sides
        dims = self.dims(evaluation, real.shape[1])
        if dims < real.shape[1]:
            axes = components(real, dims)
            real, fake = real @ axes, fake @ axes
        return real.cpu(), fake.cpu()

    @staticmethod
    def dims(evaluation: Evaluation, d: int) -> int:
        """Return on how many of ``d`` dimensions the Gaussians are fitted."""
        return min(d, MAX_DIMS, max(1, evaluation.n // SAMPLES_PER_DIM))
