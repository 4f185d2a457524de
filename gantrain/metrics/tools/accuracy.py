"""The accuracy of D as a classifier with its best threshold, which no point that is classified has chosen."""

import math

import numpy as np
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.sampling_error import FEWEST, estimate_from_means
from gantrain.metrics.tools.errors import clustered_share_error


def best_accuracy(real: Tensor, fake: Tensor, group: int = 1) -> Estimate:
    """Return the accuracy in [0, 1] of "real above a threshold" on logits of data [N] and of samples [M].

    Each side counts a half, whatever N and M. The threshold is free, since not every game has its own at 0, and it is
    chosen on one half of the samples for the other half. So a D that knows nothing has 1/2 on average, and no D has
    more than the accuracy of its best threshold. ``group`` consecutive logits depend on each other.
    """
    half = [np.arange(len(side)) // group % 2 for side in (real, fake)]
    values = [side.detach().cpu().double().numpy() for side in (real, fake)]
    # The threshold of each half, from the other one.
    chosen = np.array(
        [threshold(*(x[h == other] for x, h in zip(values, half, strict=True))) for other in (1, 0)]
    )
    is_right = values[0] > chosen[half[0]], values[1] <= chosen[half[1]]
    terms = [Tensor(0.5 * right) for right in is_right]
    accuracy = float(sum(right.mean() for right in is_right)) / 2
    found = estimate_from_means(accuracy, *terms, group=group, is_lower_bound=True)
    if not found.caveat or found.error is None or not found.n or found.n < FEWEST:
        return found
    # A share has no heavy tails: it is near an end of its range.
    error = clustered_share_error(accuracy, sum(len(side) // group for side in values), found.error)
    return Estimate(found, found.error, found.n, True, interval=error.interval)


def threshold(real: np.ndarray, fake: np.ndarray) -> float:
    """Return a threshold between logits on data [N] and on samples [M]: -inf if none beats calling all of them real.

    It is the middle of the range around the best one in which the accuracy is within three standard errors of it: the
    best one itself varies as the cube root of N.
    """
    if not len(real) or not len(fake):
        return -math.inf
    logits = np.unique(np.concatenate([real, fake]))
    # Fakes up to a threshold less data up to it; no threshold separates equal logits.
    up_to = [np.searchsorted(np.sort(side), logits, side="right") / len(side) for side in (real, fake)]
    gain = up_to[1] - up_to[0]
    best = int(np.argmax(gain))
    if gain[best] <= 0:
        return -math.inf
    is_worse = np.flatnonzero(gain < gain[best] - 3 / math.sqrt(min(len(real), len(fake))))
    place = int(np.searchsorted(is_worse, best))
    low = is_worse[place - 1] + 1 if place > 0 else 0
    high = is_worse[place] if place < len(is_worse) else len(logits) - 1
    return float(logits[low] + logits[high]) / 2
