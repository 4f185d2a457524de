"""The kernel distance between samples and data, known as KID."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.sampling_error import tail_caveat
from gantrain.metrics.base import Evaluation, Metric
from gantrain.metrics.tools.errors import near_equality
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


def kernel_error(a: Tensor, b: Tensor) -> Estimate:
    """Return the standard error of ``kernel`` of features a, b [N, d], whose i-th rows may depend on each other.

    The variance of a U-statistic of pairs, [4 (n - 2) zeta_1 + 2 zeta_2] / n (n - 1) (Hoeffding 1948), for each block.
    """
    n = min(len(a), len(b))
    blocks, linear, quadratic, total, of_pairs = max(1, n // BLOCK), 0.0, 0.0, 0.0, []
    for x, y in zip(a[:n].tensor_split(blocks), b[:n].tensor_split(blocks), strict=True):
        m = len(x)
        cross = _cubic(x, y)
        h = (_cubic(x, x) + _cubic(y, y) - cross - cross.T).fill_diagonal_(0.0)
        mean = float(h.sum()) / (m * (m - 1))
        rows = h.sum(1) / (m - 1)
        zeta_2 = float(h.square().sum()) / (m * (m - 1)) - mean**2
        zeta_1 = ((m - 1) * float(rows.var()) - zeta_2) / (m - 2) if m > 2 else 0.0
        linear += 4 * (m - 2) * max(zeta_1, 0.0) / (m * (m - 1))
        quadratic += 2 * zeta_2 / (m * (m - 1))
        total += mean
        of_pairs.append(rows)
    linear, quadratic = linear / blocks**2, quadratic / blocks**2
    caveat = tail_caveat(torch.cat(of_pairs)) or near_equality(linear, quadratic, total / blocks)
    return Estimate((linear + quadratic) ** 0.5, caveat=caveat)


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
        return {"divergence/kernel": kernel_error(*evaluation.features_of_sides)}
