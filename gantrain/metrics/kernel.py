"""The kernel distance between samples and data, known as KID."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.sampling_error import tail_caveat
from gantrain.metrics.base import Evaluation, Metric
from gantrain.metrics.tools.intervals import SquaredSpread
from gantrain.registry import option, register

BLOCK = 1000  # samples whose kernel matrices are in memory at a time


def kernel(a: Tensor, b: Tensor) -> float:
    """Return the unbiased squared maximum mean discrepancy of features a [N, d] and b [M, d], float64.

    k(x, y) = (x.y / d + 1)^3. Of the longer side only the first min(N, M) are used; from 2,000 on they are split into
    blocks of at least 1,000, whose mean is unbiased too. Computed by torch-fidelity's function.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    n, a, b = min(len(a), len(b)), a.cpu(), b.cpu()
    blocks = max(1, n // BLOCK)
    # Each block: E k(x, x') + E k(y, y') - 2 E k(x, y), without the pairs of a sample with itself.
    pairs = zip(a[:n].tensor_split(blocks), b[:n].tensor_split(blocks), strict=True)
    values = [
        kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=len(x), verbose=False) for x, y in pairs
    ]
    return float(sum(value[KEY_METRIC_KID_MEAN] for value in values) / blocks)


def kernel_error(a: Tensor, b: Tensor, value: float) -> Estimate:
    """Return the standard error of ``kernel`` of features a, b [N, d], whose i-th rows may depend on each other.

    The variance of a U-statistic of pairs, [4 (n - 2) zeta_1 + 2 zeta_2] / n (n - 1) (Hoeffding 1948), for each block.
    Where both laws are equal it is a sum of centred squares with weights, of which the sum and that of their squares
    are known. The scale is between their ratio, that of random directions, and the largest that a weight can be.
    ``value`` counts the pairs of i-th rows too, which are more alike than others where they share a condition.
    """
    n = min(len(a), len(b))
    blocks, spreads, of_pairs, without_own, own_variance = max(1, n // BLOCK), [], [], 0.0, 0.0
    for x, y in zip(a[:n].tensor_split(blocks), b[:n].tensor_split(blocks), strict=True):
        m = len(x)
        cross = _cubic(x, y)
        h = _cubic(x, x) + _cubic(y, y) - cross - cross.T
        own = float(h.diagonal().mean())
        h.fill_diagonal_(0.0)
        mean = float(h.sum()) / (m * (m - 1))
        weights = max(own - mean, 0.0) / m
        rows = h.sum(1) / (m - 1)
        zeta_2 = float(h.square().sum()) / (m * (m - 1)) - mean**2
        zeta_1 = ((m - 1) * float(rows.var()) - zeta_2) / (m - 2) if m > 2 else 0.0
        linear = 4 * (m - 2) * max(zeta_1, 0.0) / (m * (m - 1))
        quadratic = 2 * zeta_2 / (m * (m - 1))
        largest = (quadratic / 2) ** 0.5
        scale = (largest * quadratic / (2 * weights)) ** 0.5 if weights else largest
        spreads.append(SquaredSpread(linear, quadratic, scale))
        of_pairs.append(rows)
        without_own += mean / blocks
        own_variance += 4 * float(cross.diagonal().var()) / m**3 / blocks**2
    spread = replace(SquaredSpread.of_mean(spreads), caveat=tail_caveat(torch.cat(of_pairs)))
    return spread.error_of(value, value - without_own, own_variance**0.5)


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


@register("metric")
@dataclass
class Kernel(Metric):
    """KID (Binkowski et al. 2018): 0 on average for a perfect generator at any n, so it may be negative.

    A conditional G has the labels of the held-out data, so it is then below 0: compare with the floor.

    The cubic kernel compares the first three moments of the features only. Features are those of ``frechet``, in all
    their dimensions.
    """

    name: str = option("kernel", "registered name")
    reads_features = True
    tags = ("divergence/kernel",)

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        return super().protocol(evaluation) | {
            "kernel": "(x.y/d + 1)^3, unbiased",
            "blocks": max(1, evaluation.n // BLOCK),
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        real, fake = evaluation.features_of_sides
        return {"divergence/kernel": Estimate(kernel(real, fake), n=len(fake))}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        (value,) = self(evaluation).values()
        return {"divergence/kernel": kernel_error(*evaluation.features_of_sides, value)}
