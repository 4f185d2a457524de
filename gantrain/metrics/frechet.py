"""The Frechet distance between Gaussians fitted to samples and to data, known as FID."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.tools.frechet_distance import (
    HALVINGS,
    frechet,
    frechet_spread,
    mean_of_halves,
    why_too_few,
)
from gantrain.registry import option, register

SAMPLES_PER_DIM = 5
ROWS = 1000  # samples of which principal components are computed


def principal_axes(x: Tensor, dims: int) -> Tensor:
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
    """FID (Heusel et al. 2017) on the features of the run, and its value for infinitely many samples.

    A covariance needs more samples than dimensions, so features are projected on leading principal components of the
    held-out data: at most ``dims``, and at most one for every five samples; differences outside of them do not count.
    Without a projection, fewer samples than dimensions are refused. A
    perfect generator is still above 0: n and m samples of one N(0, I_d) give (d + d (d + 1) / 4) (1/n + 1/m) on
    average. So compare values of equal n and dims only, and with the floor. This excess is nearly linear in 1/n (Chong
    and Forsyth 2020), so twice the distance less the mean distance of random halves is almost free of it, and may be
    below 0; not with fewer than five samples a dimension. It is no published FID, which is computed on the features of
    an Inception network.
    """

    name: str = option("frechet", "registered name")
    dims: int | None = option(
        64, "principal components that features are projected on, at most; null for no projection", minimum=1
    )
    reads_features = True
    tags = ("divergence/frechet", "divergence/frechet_infinite")  # in the square of the features' unit

    def why_unsupported(self, run: RunSpec) -> str | None:
        if self.dims is None and (reason := why_too_few(run)):
            return f"{reason}, or metric.frechet.dims=64 for a projection"
        return None

    def expected_tags(self, run: RunSpec) -> Sequence[str]:
        d = run.features.dimension(run.spec) or 0
        return self.tags[: 1 if self.dims is None and run.n < SAMPLES_PER_DIM * d else 2]

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | {"dims": self.components(evaluation)}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        return evaluation.once(self.distances)

    def distances(self, evaluation: Evaluation) -> dict[str, float]:
        """Return the distance of n samples and, where they are enough, that of infinitely many, by tag."""
        real, fake = self.projections(evaluation)
        found: dict[str, float] = {"divergence/frechet": Estimate(frechet(real, fake), n=len(fake))}
        n = min(len(real), len(fake))
        if n >= SAMPLES_PER_DIM * real.shape[1]:
            pair = real[:n], fake[:n]
            infinite = 2 * frechet(*pair) - mean_of_halves(*pair, evaluation.seed)
            found["divergence/frechet_infinite"] = Estimate(infinite, n=n)
        return found

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        tag, tag_of_infinite = self.tags
        values, pair = self(evaluation), self.projections(evaluation)
        spread, bias = frechet_spread(*pair, evaluation.seed)
        # The halves differ in which pairs of samples they hold.
        of_halves = spread.quadratic / HALVINGS
        found: dict[str, float] = {}
        if (infinite := values.get(tag_of_infinite)) is not None:
            bias = values[tag] - infinite
            found[tag_of_infinite] = replace(spread, quadratic=spread.quadratic + of_halves).error_of(
                infinite
            )
        return {tag: spread.error_of(values[tag], bias, of_halves**0.5)} | found

    def projections(self, evaluation: Evaluation) -> tuple[Tensor, Tensor]:
        """Return the features of both sides that are compared, each [n, dims], on the CPU."""
        real, fake = evaluation.features_of_sides
        dims = self.components(evaluation)
        if dims < real.shape[1]:
            axes = principal_axes(real, dims)
            real, fake = real @ axes, fake @ axes
        return real.cpu(), fake.cpu()

    def components(self, evaluation: Evaluation) -> int:
        """Return on how many components of the features the Gaussians are fitted."""
        d = evaluation.extractor.dimension
        return d if self.dims is None else min(d, self.dims, max(1, evaluation.n // SAMPLES_PER_DIM))
