"""The Frechet distance between Gaussians fitted to samples and to data, known as FID."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.metrics.base import Evaluation, Metric, Planned
from gantrain.metrics.tools.classifier import described, features
from gantrain.registry import option, register

DIMS, SHARE = 64, 5  # most dimensions, and fewest samples for each of them
ROWS = 1000  # samples that components are found from


def frechet(a: Tensor, b: Tensor) -> float:
    """Return |m_a - m_b|^2 + tr(A + B - 2 (AB)^1/2), the squared 2-Wasserstein distance of the fitted Gaussians.

    Computed by torch-fidelity's functions in float64; rounding may leave equal samples a hair below 0.

    Args:
        a: Features, shape [N, d], N at least 2; float64 on the CPU.
        b: Features, shape [M, d], likewise.
    """
    import numpy as np
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    fitted = [fid_features_to_statistics(x) for x in (a, b)]
    for gaussian in fitted:
        gaussian["sigma"] = np.atleast_2d(
            gaussian["sigma"]
        )  # NumPy makes a number of one dimension's covariance
    return float(fid_statistics_to_metric(*fitted, verbose=False)[KEY_METRIC_FID])


def components(x: Tensor, dims: int) -> Tensor:
    """Return the leading principal axes of the first 1,000 rows, orthonormal, shape [N, d] to [d, dims]."""
    x = x[:ROWS] - x[:ROWS].mean(0)
    n, d = x.shape
    if d <= n:
        return torch.linalg.eigh(x.T @ x).eigenvectors[:, -dims:]
    # The same axes from the smaller matrix; QR keeps them orthonormal where the data have no spread left.
    return torch.linalg.qr(x.T @ torch.linalg.eigh(x @ x.T).eigenvectors[:, -dims:]).Q


@register("metric")
@dataclass
class Frechet(Metric):
    """FID (Heusel et al. 2017) on the features of a classifier of this data, or on pixels or coordinates.

    A covariance needs more samples than dimensions, so features are read on the leading principal components of the
    held-out data: at most 64, and at most one for every five samples; what differs outside of them is not seen. The
    reading of a perfect generator is above 0 still: of n and m samples of one N(0, I_d) it is (d + d (d + 1) / 4)
    (1/n + 1/m) on average. So compare readings of equal n and dims only, and with the floor. It is no published FID,
    which is read from the features of an Inception network.
    """

    name: str = option("frechet", "registered name")

    def expected(self, run: Planned) -> list[str]:
        """Return the distance."""
        return ["divergence/frechet"]

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        """Return features, how many there are, on how many dimensions they are compared, n and split."""
        d = features(evaluation.data, evaluation.real[0][:1]).shape[1]
        return {
            "features": described(evaluation.data),
            "features_d": d,
            "dims": self.dims(evaluation, d),
            "n": evaluation.n,
            "split": "holdout",
            "G": "averaged weights",
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        """Return ``divergence/frechet``, in the square of the features' unit."""
        real, fake = (features(evaluation.data, x) for x, _ in (evaluation.real, evaluation.fake))
        dims = self.dims(evaluation, real.shape[1])
        if dims < real.shape[1]:
            axes = components(real, dims)
            real, fake = real @ axes, fake @ axes
        return {"divergence/frechet": frechet(real, fake)}

    @staticmethod
    def dims(evaluation: Evaluation, d: int) -> int:
        """Return on how many of ``d`` dimensions the Gaussians are fitted."""
        return min(d, DIMS, max(1, evaluation.n // SHARE))
