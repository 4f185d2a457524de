"""Density and coverage within each class."""

from dataclasses import dataclass

from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.sampling_error import FEWEST
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.intra_frechet import rows_of_sides
from gantrain.metrics.prdc import prdc, prdc_errors
from gantrain.metrics.tools.by_class import counts_protocol, mean_over_classes, why_few
from gantrain.metrics.tools.errors import clustered_share_error
from gantrain.metrics.tools.neighbour_balls import Balls
from gantrain.registry import option, register

NAMES = {"diversity/intra_coverage": "coverage", "fidelity/intra_density": "density"}


@register("metric")
@dataclass
class IntraPRDC(Metric):
    """Mean over classes of the coverage and the density (Naeem et al. 2020) of samples and data of one class."""

    name: str = option("intra_prdc", "registered name")
    reads_features = True
    tags = tuple(NAMES)

    def why_unsupported(self, run: RunSpec) -> str | None:
        return why_few(run)

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        found = evaluation.once(of_classes)
        own: dict[str, object] = {"k": evaluation.suite.k}
        own |= counts_protocol(evaluation.once(rows_of_sides), evaluation.data.spec.classes)
        own |= {f"{name}_of_classes": [values[name] for values in found] for name in NAMES.values()}
        return super().protocol(evaluation) | own

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        found, pairs = evaluation.once(of_classes), evaluation.once(features_of_classes)
        n = min((len(real) for real, _ in pairs), default=0)
        if not found:
            return {}
        return {
            tag: mean_over_classes([Estimate(values[name], n=n) for values in found])
            for tag, name in NAMES.items()
        }

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        k, pairs = evaluation.suite.k, evaluation.once(features_of_classes)
        if not pairs or min(len(real) for real, _ in pairs) // 4 <= k:
            return {}
        errors = [
            prdc_errors(Balls.of(real, fake, k), Balls.of(fake, real, k), k, evaluation.seed)
            for real, fake in pairs
        ]
        values, n = self(evaluation), sum(len(real) for real, _ in pairs)
        found: dict[str, float] = {}
        for tag, name in NAMES.items():
            mean = mean_over_classes([Estimate(0.0, e[name], caveat=e[name].caveat) for e in errors])
            found[tag] = Estimate(mean.error or 0.0, caveat=mean.caveat)
            if name == "coverage":
                found[tag] = clustered_share_error(values[tag], n, found[tag], FEWEST)
        return found


def features_of_classes(evaluation: Evaluation) -> list[tuple[Tensor, Tensor]]:
    """Return the features of held-out data and samples of each class, as many on both sides."""
    real, fake = evaluation.features_of_sides
    rows = [(a, b, min(len(a), len(b))) for a, b in evaluation.once(rows_of_sides)]
    return [(real[a[:n].to(real.device)], fake[b[:n].to(fake.device)]) for a, b, n in rows]


def of_classes(evaluation: Evaluation) -> list[dict[str, float]]:
    """Return ``prdc`` of each class; a class has more than k samples, since k is at most ``FEWEST`` - 1."""
    pairs, k = evaluation.once(features_of_classes), evaluation.suite.k
    return [prdc(real, fake, min(k, len(real) - 1)) for real, fake in pairs]
