"""What an arm gains over another: means with intervals, over seeds and over test samples."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

LEVEL = 0.95


class Interval(NamedTuple):
    """A mean and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def mean_interval(hits: Tensor, against: Tensor | None = None) -> Interval:
    """Return the share of hits, or by how much it exceeds that of ``against``, with its 95 % interval.

    Two things vary: the seeds, by Student's t, and the test samples, which all seeds share. What both decide together
    counts in both parts, so the interval is rather too wide than too narrow.

    Args:
        hits: Whether each test sample was classified as it should be, shape [seeds, N].
        against: The same of another arm under the same seeds; compared by pairs.
    """
    from scipy.stats import norm, t

    values = hits.double() if against is None else hits.double() - against.double()
    seeds, n = values.shape
    mean = float(values.mean())
    of_seeds = t.ppf(0.5 + LEVEL / 2, seeds - 1) * float(values.mean(1).std()) / math.sqrt(seeds)
    of_samples = norm.ppf(0.5 + LEVEL / 2) * float(values.mean(0).std()) / math.sqrt(n)
    half = math.hypot(of_seeds, of_samples)
    least = 0.0 if against is None else -1.0
    return Interval(mean, max(mean - half, least), min(mean + half, 1.0))
