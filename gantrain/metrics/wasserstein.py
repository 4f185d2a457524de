"""How far samples have to be moved to become data: the 1-Wasserstein distance, exact and sliced."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.metrics.base import Evaluation, Metric
from gantrain.registry import option, register

MAX_EXACT = 1000  # points; the exact distance takes the square of them in memory and more than that in time
DIRECTIONS = 200
MAX_PIVOTS = 1_000_000  # hard cases of 1,000 points take tens of thousands, near to POT's own limit


def exact(a: Tensor, b: Tensor) -> float:
    """Return W1 of two clouds with Euclidean cost, by POT's network simplex.

    Args:
        a: Points, shape [N, d], each of weight 1/N.
        b: Points, shape [M, d].
    """
    import ot

    a, b = a.cpu().double(), b.cpu().double()
    cost = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    return float(ot.emd2([], [], cost, numItermax=MAX_PIVOTS))


def sliced(a: Tensor, b: Tensor, seed: int) -> float:
    """Return the mean W1 of both clouds' projections on 200 directions, which are the same for the same seed.

    Never above ``exact`` of the same points.

    Args:
        a: Points, shape [N, d], each of weight 1/N.
        b: Points, shape [M, d].
        seed: Draws the directions, uniform on the sphere.
    """
    import ot

    directions = torch.randn(
        a.shape[1], DIRECTIONS, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    directions /= directions.norm(dim=0)
    x, y = a.cpu().double().numpy(), b.cpu().double().numpy()
    return float(ot.sliced_wasserstein_distance(x, y, projections=directions.numpy(), p=1))


@register("metric")
@dataclass
class Wasserstein(Metric):
    """Wasserstein-1 on pixels or coordinates, in the data's unit: exact on at most 1,000 samples, and sliced on all.

    Both are above 0 for a perfect generator, the exact one much so in many dimensions: compare with the floor. In d
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
        return {
            "divergence/sliced_wasserstein": sliced(real, fake, evaluation.seed),
            "divergence/wasserstein": exact(real[:MAX_EXACT], fake[:MAX_EXACT]),
        }
