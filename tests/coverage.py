"""How often an estimate's interval contains the truth, over repetitions that differ in their samples."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from gantrain.core.estimate import Estimate

HONEST = (0.92, 0.98)  # of ±1.96 standard errors, which hold 0.95 of a normal distribution


@dataclass(frozen=True)
class Coverage:
    """Shares of repetitions.

    Attributes:
        above: Readings whose interval is above the truth, of those that have an error.
        below: Readings whose interval is below it.
        caveat: Readings with a caveat.
        silent: Readings that miss the truth on either side and have no caveat.
        ratio: Standard deviation of the readings over their root mean square error.
    """

    above: float
    below: float
    caveat: float
    silent: float
    ratio: float

    @property
    def holds(self) -> float:
        """The share of readings that have an error and whose interval contains the truth."""
        return 1 - self.above - self.below

    @property
    def is_honest(self) -> bool:
        """Whether the error holds what it promises, on both sides, or most readings say that it does not."""
        return self.caveat > 0.5 or HONEST[0] <= self.holds <= HONEST[1]


def _ends(estimate: Estimate) -> tuple[float, float]:
    """Return the ends of an interval, also of ±1.96 errors that have a caveat."""
    assert estimate.error is not None
    if estimate.interval is None:
        return estimate - 1.96 * estimate.error, estimate + 1.96 * estimate.error
    low, high = estimate.interval
    return -np.inf if low is None else low, np.inf if high is None else high


def coverage(
    reading: Callable[[torch.Generator], Estimate], truth: float, repetitions: int = 1000, seed: int = 0
) -> Coverage:
    """Return how often readings contain the truth; ``reading`` draws its samples from the generator that it gets.

    Of 1,000 repetitions the share has a standard deviation of 0.007 at 0.95. An estimate without an error must have a
    caveat.
    """
    generator = torch.Generator().manual_seed(seed)
    found = [reading(generator) for _ in range(repetitions)]
    assert all(estimate.error is not None or estimate.caveat for estimate in found)
    has_caveat = np.array([bool(estimate.caveat) for estimate in found])
    with_error = np.array([estimate.error is not None for estimate in found])
    values = np.array(found, dtype=float)[with_error]
    errors = np.array([estimate.error for estimate in found if estimate.error is not None])
    ends = np.array([_ends(estimate) for estimate in found if estimate.error is not None]).reshape(-1, 2)
    rounding = 1e-6 * abs(truth)  # float32 is no miss
    above, below = ends[:, 0] > truth + rounding, ends[:, 1] < truth - rounding
    silent = (above | below) & ~has_caveat[with_error]
    rms = float(np.sqrt(np.mean(errors**2))) if len(errors) else 0.0
    return Coverage(
        above=float(np.mean(above)) if len(errors) else 0.0,
        below=float(np.mean(below)) if len(errors) else 0.0,
        caveat=float(np.mean(has_caveat)),
        silent=float(silent.sum()) / repetitions,
        ratio=float(values.std()) / rms if rms else 0.0,
    )
