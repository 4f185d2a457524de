"""Standard errors over samples, for metrics that are no mean of independent values."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from gantrain.core.estimate import Z95, Estimate

GROUPS = 80  # in all partitions together
LARGEST_GROUP = 1000  # samples, so that a cost of n^2 stays small
HALVINGS = 100
LEAST_OF_HALVES, MOST_OF_HALVES = 0.8, 1.3  # times their n-fold variance that all samples may have
CLEAR_OF_ENDS = 3  # errors from the end of its range that an estimate is, for them to be symmetric
DRAWS = 400  # bootstrap draws
CLEAR = 4  # times the quadratic part of a variance is a linear part that makes a distance nearly normal
RARE = 5  # fewer hits, or misses, than this are too few for a symmetric error

# Disjoint groups of samples, indices [groups, size], to values [groups] by tag; both with a first dimension of orders
# for ``from_halves``.
Statistic = Callable[[Tensor], Mapping[str, Tensor]]


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


def near_end(share: float, error: float) -> str:
    """Return why the error of a share whose hits come in clusters is unreliable, or "" if it is not.

    There are (share / error)^2 (1 - share) independent hits, by their design effect (Kish 1965); of fewer than nine or
    so, error and share are small together.
    """
    is_near = min(share, 1 - share) <= CLEAR_OF_ENDS * error
    return f"a share within {CLEAR_OF_ENDS} errors of 0 or 1" if is_near else ""


def near_equality(linear: float, quadratic: float, distance: float = math.inf) -> str:
    """Return why the error of a squared distance is unreliable, or "" if it is not.

    Its variance has a part that is linear in the samples and grows with the distance, and a quadratic one, alone where
    both laws are equal. Where they are alike the distance is skewed, and its error varies with it. An unbiased
    ``distance`` shows this too.
    """
    is_near = distance < CLEAR_OF_ENDS * (linear + quadratic) ** 0.5 or linear < CLEAR * quadratic
    return "no farther apart than samples of one law may be" if is_near else ""


def from_groups(statistic: Statistic, n: int, seed: int) -> dict[str, float]:
    """Return the standard error of a statistic from its values on random disjoint groups of n samples.

    At most half of the samples are in a group, so their values are independent, and the variance of one falls as the
    inverse of its size (subsampling; Politis and Romano 1994). That holds for averages of what near samples decide,
    for which the jackknife and the bootstrap are too large.

    Args:
        statistic: See ``Statistic``; a group's i-th real and i-th fake sample may depend on each other.
        n: Number of samples.
        seed: Chooses the groups.
    """
    count = max(2, -(-n // LARGEST_GROUP))
    partitions = max(1, GROUPS // count)
    margin = student_margin(partitions * (count - 1))
    orders = _groups(n, partitions, seed, count)
    variances = _variances([statistic(order) for order in orders])
    return {tag: margin * variance**0.5 for tag, variance in variances.items()}


def from_halves(statistic: Statistic, n: int, seed: int) -> dict[str, Estimate]:
    """Return the standard error of a statistic as ``from_groups`` does, where n times its variance changes with n.

    From quarters to halves it changes twice as much as from halves to all samples, to the first order in 1/n. Where
    that is much, the first order is not enough, and there is a caveat.
    """
    halves, quarters = (_variances([statistic(_groups(n, HALVINGS, seed, count))]) for count in (2, 4))
    margin = student_margin(
        HALVINGS / 1.5**2
    )  # the quarters, having three times the freedom, add little noise
    found = {}
    for tag, half in halves.items():
        whole = 1.5 * half - 0.5 * quarters[tag]
        is_linear = LEAST_OF_HALVES * half <= whole <= MOST_OF_HALVES * half
        caveat = "" if is_linear else "half as many samples vary in another way"
        found[tag] = Estimate(margin * max(whole, half / 2) ** 0.5, caveat=caveat)
    return found


def _groups(n: int, orders: int, seed: int, count: int) -> Tensor:
    """Return ``count`` equal parts of each of several random orders of n samples, [orders, count, size]."""
    draws, size = torch.Generator().manual_seed(seed), n // count
    found = torch.stack([torch.randperm(n, generator=draws) for _ in range(orders)])
    return found[:, : size * count].unflatten(1, (count, size))


def _variances(found: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    """Return the mean variance of values of equal parts, [orders, parts] or [parts] of each order, by their number."""
    values = {tag: torch.stack([value[tag] for value in found]) for tag in found[0]}
    return {tag: float(value.var(-1).mean()) / value.shape[-1] for tag, value in values.items()}


def student_margin(freedom: float) -> float:
    """Return by how much Student's 97.5 % quantile exceeds the normal's, by its first term (Fisher 1925)."""
    return 1 + (1 + Z95**2) / (4 * freedom)


def bootstrap(statistic: Callable[[Tensor], Tensor], n: int, seed: int) -> float:
    """Return the standard deviation of a statistic, indices [B, n] to values [B], over draws with replacement."""
    draws = torch.Generator().manual_seed(seed)
    return float(statistic(torch.randint(n, (DRAWS, n), generator=draws)).std())


def ratio_error(a: Tensor, b: Tensor) -> float:
    """Return the standard error of mean(a) / mean(b) of pairs [n] by the delta method; a pair may be dependent."""
    ratio = a.mean() / b.mean()
    return float((a - ratio * b).std() / b.mean().abs()) / len(a) ** 0.5
