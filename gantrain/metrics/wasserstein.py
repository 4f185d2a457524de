"""The 1-Wasserstein distance between samples and data, exact and sliced."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import Evaluation, Metric
from gantrain.metrics.evaluation import in_double
from gantrain.metrics.tools.errors import Statistic, from_groups
from gantrain.registry import option, register

MAX_EXACT = 1000  # points; the exact distance needs N^2 memory and more time than that
DIRECTIONS = 200
MAX_PIVOTS = 1_000_000  # hard cases of 1,000 points need tens of thousands, near POT's default limit


def exact(a: Tensor, b: Tensor, power: int = 1) -> float:
    """Return the least mean of |a - b|^power over couplings of points a [N, d] and b [M, d], each of equal weight.

    That is W1, or the square of W2, by POT's network simplex.
    """
    import ot

    # W1 = min over couplings of sum_ij P_ij |a_i - b_j|^p, rows of P summing to 1/N and columns to 1/M.
    cost = torch.cdist(in_double(a), in_double(b), compute_mode="donot_use_mm_for_euclid_dist").cpu().numpy()
    return float(ot.emd2([], [], cost**power, numItermax=MAX_PIVOTS))


def sliced(a: Tensor, b: Tensor, seed: int) -> float:
    """Return the mean W1 of a [N, d] and b [M, d] projected on 200 directions that ``seed`` draws uniformly.

    Never above ``exact`` of the same points.
    """
    import ot

    draws = torch.Generator().manual_seed(seed)
    directions = torch.randn(a.shape[1], DIRECTIONS, dtype=torch.float64, generator=draws)
    directions /= directions.norm(dim=0)  # [d, 200], unit columns
    x, y = a.cpu().double().numpy(), b.cpu().double().numpy()
    return float(ot.sliced_wasserstein_distance(x, y, projections=directions.numpy(), p=1))


@register("metric")
@dataclass
class Wasserstein(Metric):
    """Wasserstein-1 on pixels or coordinates, in the data's unit: exact on at most 1,000 samples, and sliced on all.

    Both are above 0 for a perfect generator, the exact one far above in many dimensions: compare with the floor. In d
    dimensions a shift of length s gives s exactly and about s sqrt(2 / (pi d)) sliced.
    """

    name: str = option("wasserstein", "registered name")
    tags = ("divergence/wasserstein", "divergence/sliced_wasserstein")

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | {
            "features": "pixels" if evaluation.data.spec.is_image else "coordinates",
            "n_exact": min(MAX_EXACT, evaluation.n),
            "directions": DIRECTIONS,
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        real, fake = evaluation.real[0].flatten(1), evaluation.fake[0].flatten(1)
        n, n_exact = len(fake), min(MAX_EXACT, len(fake))
        return {
            "divergence/sliced_wasserstein": Estimate(sliced(real, fake, evaluation.seed), n=n),
            "divergence/wasserstein": Estimate(exact(real[:MAX_EXACT], fake[:MAX_EXACT]), n=n_exact),
        }

    def variance_between_pools(self, split: Evaluation) -> dict[str, float]:
        """Return half of the variance between pools of half the size: the share of it that is left at twice the size.

        Halves of two pools differ by what splits of one differ by, and by what the pools do.
        """
        one, other = split.real[0].flatten(1), split.fake[0].flatten(1)
        half = min(len(one) // 2, MAX_EXACT)
        if not half:
            return {}
        distances: dict[str, Callable[[Tensor, Tensor], float]] = {
            "divergence/sliced_wasserstein": partial(sliced, seed=split.seed),
            "divergence/wasserstein": exact,
        }
        found = {}
        for tag, distance in distances.items():
            first, second = distance(one[:half], one[-half:]), distance(other[:half], other[-half:])
            again = distance(one[: 2 * half : 2], one[1 : 2 * half : 2])
            found[tag] = ((first - second) ** 2 - (first - again) ** 2) / 4
        return found

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        real, fake = evaluation.real[0].flatten(1), evaluation.fake[0].flatten(1)
        n = min(len(real), len(fake))

        def each(distance: Callable[[Tensor, Tensor], float], tag: str) -> Statistic:
            return lambda groups: {
                tag: torch.tensor([distance(real[rows], fake[rows]) for rows in groups], dtype=torch.float64)
            }

        return from_groups(
            each(partial(sliced, seed=evaluation.seed), "divergence/sliced_wasserstein"), n, evaluation.seed
        ) | from_groups(each(exact, "divergence/wasserstein"), min(MAX_EXACT, n), evaluation.seed)
