"""How often an estimate's ±1.96 standard errors contain the truth, over repetitions that differ in their samples."""

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
        above: Readings more than 1.96 errors above the truth, of those that have an error.
        below: Readings more than 1.96 errors below it.
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
        """The share of readings that have an error and are within 1.96 errors of the truth."""
        return 1 - self.above - self.below

    @property
    def is_honest(self) -> bool:
        """Whether the error holds what it promises, on both sides, or most readings say that it does not."""
        return self.caveat > 0.5 or HONEST[0] <= self.holds <= HONEST[1]


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
    distance, margin = values - truth, 1.96 * errors + 1e-6 * abs(truth)  # float32 is no miss
    above, below = distance > margin, distance < -margin
    silent = (above | below) & ~has_caveat[with_error]
    rms = float(np.sqrt(np.mean(errors**2))) if len(errors) else 0.0
    return Coverage(
        above=float(np.mean(above)) if len(errors) else 0.0,
        below=float(np.mean(below)) if len(errors) else 0.0,
        caveat=float(np.mean(has_caveat)),
        silent=float(silent.sum()) / repetitions,
        ratio=float(values.std()) / rms if rms else 0.0,
    )
