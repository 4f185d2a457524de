"""Precision, recall, density and coverage."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.sampling_error import FEWEST, tail_caveat
from gantrain.metrics.base import Evaluation, Metric
from gantrain.metrics.evaluation import in_double
from gantrain.metrics.tools.errors import clustered_share_error, from_halves
from gantrain.metrics.tools.neighbour_balls import Balls, prdc_of_parts
from gantrain.metrics.tools.pair_distances import closer_pairs, nearest_others
from gantrain.registry import option, register


def prdc(real: Tensor, fake: Tensor, k: int) -> dict[str, float]:
    """Return the four numbers of Naeem et al. 2020 (eqs. 1-5) of data [N, d] and samples [M, d], k below N and M.

    Balls are open, as in their ``prdc`` package. Precision and recall (Kynkaanniemi et al. 2019) are shares in [0, 1],
    coverage too; density is at least 0, and 1 in expectation for samples of the data's own distribution.
    """
    real, fake = in_double(real.flatten(1)), in_double(fake.flatten(1))
    (real_radii, fake_radii) = (nearest_others(x, k)[0][:, -1] for x in (real, fake))
    inside = torch.zeros(len(fake), dtype=torch.int64, device=fake.device)  # data balls around each sample
    is_covered, is_recalled = (torch.zeros(len(real), dtype=torch.bool, device=real.device) for _ in range(2))
    for ball, sample in closer_pairs(real, fake, real_radii):
        inside += sample.bincount(minlength=len(fake))
        is_covered[ball] = True
    for _, sample in closer_pairs(fake, real, fake_radii):
        is_recalled[sample] = True
    # Their equations, with B the ball up to the k-th neighbour: precision, the share of samples in some B(real);
    # recall, of data in some B(fake); density, balls a sample lies in over k; coverage, balls with a sample.
    return {
        "precision": float((inside > 0).double().mean()),
        "recall": float(is_recalled.double().mean()),
        "density": float(inside.double().mean()) / k,
        "coverage": float(is_covered.double().mean()),
    }


def prdc_errors(real: Balls, fake: Balls, k: int, seed: int) -> dict[str, Estimate]:
    """Return the standard errors of ``prdc`` of as many samples on both sides, whose i-th may depend on each other."""
    n = len(real.nearest)
    found = from_halves(lambda parts: prdc_of_parts(real, fake, parts, k), n, seed)
    whole = torch.arange(n)[None, None]
    values = prdc_of_parts(real, fake, whole, k)
    covered, inside = real.hits(whole, k)
    # A sample changes the sum of balls by about both.
    caveat = found["density"].caveat or tail_caveat((covered + inside)[0, 0])
    shares = {
        name: clustered_share_error(float(values[name]), n, found[name], FEWEST)
        for name in ("precision", "recall", "coverage")
    }
    return shares | {"density": Estimate(found["density"], caveat=caveat)}


@register("metric")
@dataclass
class PRDC(Metric):
    """Neighbour balls between samples and held-out data; blur and copies score well, so compare density too."""

    name: str = option("prdc", "registered name")
    reads_features = True
    tags = ("diversity/coverage", "diversity/recall", "fidelity/precision", "fidelity/density")

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | {"k": self.neighbours(evaluation)}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        n = len(evaluation.features_of_sides[1])
        values = prdc(*evaluation.features_of_sides, self.neighbours(evaluation))
        return {tag: Estimate(values[tag.split("/")[1]], n=n) for tag in self.tags}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        k = self.neighbours(evaluation)
        real, fake = evaluation.features_of_sides
        n = min(len(real), len(fake))
        if n // 4 <= k:
            return {}
        real, fake = real[:n], fake[:n]
        found = prdc_errors(Balls.of(real, fake, k), Balls.of(fake, real, k), k, evaluation.seed)
        return {tag: found[tag.split("/")[1]] for tag in self.tags}

    @staticmethod
    def neighbours(evaluation: Evaluation) -> int:
        """Return the suite's k, or the most that so few samples allow."""
        return min(evaluation.suite.k, evaluation.n - 1, len(evaluation.features_of_sides[1]) - 1)
