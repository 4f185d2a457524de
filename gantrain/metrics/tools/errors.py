"""Standard errors over samples, for metrics that are no mean of independent values."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

GROUPS = 80  # in all partitions together
LARGEST_GROUP = 1000  # samples, so that a cost of n^2 stays small
MARGIN = 1.1  # by which errors from groups are enlarged: they are a twentieth small, and noisy
DRAWS = 400  # bootstrap draws
CLEAR = 4  # times the quadratic part of a variance is a linear part that makes a distance nearly normal
RARE = 5  # fewer hits, or misses, than this are too few for a symmetric error


def share_error(share: float, n: int) -> float:
    """Return the standard error of a share in [0, 1] of n samples, counted as if two more hit and two missed.

    Agresti and Coull (1998): so it is not 0 for a share of 0 or 1.
    """
    middle = (share * n + 2) / (n + 4)
    return (middle * (1 - middle) / n) ** 0.5


def rare_share(share: float, n: int) -> str:
    """Return why the error of a share of n samples is unreliable, or "" if it is not."""
    hits = round(share * n)
    few = min(hits, n - hits)
    return f"{few} of {n} samples are too few" if few < RARE else ""


def near_equality(linear: float, quadratic: float) -> str:
    """Return why the error of a squared distance is unreliable, or "" if it is not.

    Its variance has a part that is linear in the samples and grows with the distance, and a quadratic one, alone where
    both laws are equal. Where they are alike the distance is skewed, and its error varies with it.
    """
    return "no farther apart than samples of one law may be" if linear < CLEAR * quadratic else ""


def from_groups(statistic: Callable[[Tensor], Mapping[str, float]], n: int, seed: int) -> dict[str, float]:
    """Return the standard error of a statistic from its values on random disjoint groups of n samples.

    At most half of the samples are in a group, so their values are independent, and the variance of one falls as the
    inverse of its size (subsampling; Politis and Romano 1994). That holds for averages of what near samples decide,
    such as shares of neighbour balls, for which the jackknife and the bootstrap are too large.

    Args:
        statistic: Indices of samples to values by tag.
        n: Number of samples; a group's i-th real and i-th fake one may depend on each other.
        seed: Chooses the groups.
    """
    draws = torch.Generator().manual_seed(seed)
    count = max(2, -(-n // LARGEST_GROUP))
    squares: dict[str, list[float]] = {}
    for _ in range(max(1, GROUPS // count)):
        groups = torch.randperm(n, generator=draws)[: n // count * count].split(n // count)
        values = [statistic(group) for group in groups]
        for tag in set(values[0]).intersection(*values):
            variance = float(torch.tensor([value[tag] for value in values], dtype=torch.float64).var())
            squares.setdefault(tag, []).append(variance / count)
    return {tag: MARGIN * (sum(found) / len(found)) ** 0.5 for tag, found in squares.items()}


def bootstrap(statistic: Callable[[Tensor], Tensor], n: int, seed: int) -> float:
    """Return the standard deviation of a statistic, indices [B, n] to values [B], over draws with replacement."""
    draws = torch.Generator().manual_seed(seed)
    return float(statistic(torch.randint(n, (DRAWS, n), generator=draws)).std())


def ratio_error(a: Tensor, b: Tensor) -> float:
    """Return the standard error of mean(a) / mean(b) of pairs [n] by the delta method; a pair may be dependent."""
    ratio = a.mean() / b.mean()
    return float((a - ratio * b).std() / b.mean().abs()) / len(a) ** 0.5
