"""The Frechet distance within each class, known as intra-class FID."""

from dataclasses import dataclass

from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.frechet import SAMPLES_PER_DIM, principal_axes
from gantrain.metrics.tools.by_class import counts_protocol, mean_over_classes, rows_of_classes, why_few
from gantrain.metrics.tools.frechet_distance import EXCHANGES, frechet, frechet_spread
from gantrain.metrics.tools.intervals import SquaredSpread
from gantrain.registry import option, register

MAX_DIMS = 64


@register("metric")
@dataclass
class IntraFrechet(Metric):
    """Mean over classes of the Frechet distance of samples and held-out data of one class (Miyato and Koyama 2018).

    It sees a class whose samples are all alike, or those of another class, which leave the distance of all samples
    small. Features are projected on leading principal components of the held-out data of all classes: at most 64, and
    at most one for every five samples of the smallest class.
    """

    name: str = option("intra_frechet", "registered name")
    reads_features = True
    tags = ("divergence/intra_frechet",)

    def why_unsupported(self, run: RunSpec) -> str | None:
        return why_few(run)

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        pairs, rows = evaluation.once(projections), evaluation.once(rows_of_sides)
        own: dict[str, object] = dict(counts_protocol(rows, evaluation.data.spec.classes))
        if pairs:
            own |= {"dims": pairs[0][0].shape[1], "of_classes": [frechet(*pair) for pair in pairs]}
        return super().protocol(evaluation) | own

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        pairs = evaluation.once(projections)
        found = [Estimate(frechet(real, fake), n=len(fake)) for real, fake in pairs]
        return {"divergence/intra_frechet": mean_over_classes(found)} if found else {}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        pairs, seed = evaluation.once(projections), evaluation.seed
        if not pairs:
            return {}
        spreads, chances = zip(*(frechet_spread(*pair, seed) for pair in pairs), strict=True)
        (value,) = self(evaluation).values()
        spread = SquaredSpread.of_mean(spreads)
        bias_error = (spread.quadratic / EXCHANGES) ** 0.5
        return {"divergence/intra_frechet": spread.error_of(value, sum(chances) / len(chances), bias_error)}


def rows_of_sides(evaluation: Evaluation) -> list[tuple[Tensor, Tensor]]:
    """Return the rows of each class among held-out data and samples."""
    real, fake = evaluation.reals.y, evaluation.fakes.y
    return rows_of_classes(real.cpu(), fake.cpu())  # type: ignore[union-attr]  # the classes have labels


def projections(evaluation: Evaluation) -> list[tuple[Tensor, Tensor]]:
    """Return the features of held-out data and samples of each class, on the CPU, as many on both sides."""
    rows = evaluation.once(rows_of_sides)
    real, fake = (side.cpu() for side in evaluation.features_of_sides)
    n = min((min(len(a), len(b)) for a, b in rows), default=0)
    dims = min(real.shape[1], MAX_DIMS, max(1, n // SAMPLES_PER_DIM))
    if dims < real.shape[1]:
        axes = principal_axes(real, dims)
        real, fake = real @ axes, fake @ axes
    counts = [min(len(a), len(b)) for a, b in rows]
    return [(real[a[:count]], fake[b[:count]]) for (a, b), count in zip(rows, counts, strict=True)]
