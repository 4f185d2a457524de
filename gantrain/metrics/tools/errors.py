"""Standard errors over samples, for metrics that are no mean of independent values."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from gantrain.core.estimate import Z95, Estimate
from gantrain.metrics.tools.intervals import share_interval

GROUPS = 80  # in all partitions together
LARGEST_GROUP = 1000  # samples, so that a cost of n^2 stays small
HALVINGS = 100
LEAST_OF_HALVES, MOST_OF_HALVES = 0.8, 1.3  # times their n-fold variance that all samples may have
DRAWS = 400  # bootstrap draws

# Disjoint groups of samples, indices [groups, size], to values [groups] by tag; both with a first dimension of orders
# for ``from_halves``.
Statistic = Callable[[Tensor], Mapping[str, Tensor]]


def share_error(share: float, n: int) -> Estimate:
    """Return the standard error of a share in [0, 1] of n independent samples, with its interval.

    It counts as if two more hit and two missed (Agresti and Coull 1998), and so is not 0 for a share of 0 or 1.
    """
    return Estimate(_spread(share, n) / n**0.5, interval=share_interval(share, n))


def clustered_share_error(share: float, n: int, error: float, fewest: int = 1) -> Estimate:
    """Return the error of a share of n samples as it is, with its interval.

    Samples that depend on each other count as fewer, by their design effect (Kish 1965); fewer than ``fewest`` are too
    few to know that.
    """
    independent = min(n, (_spread(share, n) / error) ** 2) if error > 0 else n
    if independent < fewest:
        return Estimate(error, caveat=f"about {independent:.0f} independent samples decide it")
    return Estimate(error, interval=share_interval(share, independent))


def _spread(share: float, n: int) -> float:
    """Return the standard deviation of one sample, as if two more hit and two missed."""
    middle = (share * n + 2) / (n + 4)
    return (middle * (1 - middle)) ** 0.5


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
