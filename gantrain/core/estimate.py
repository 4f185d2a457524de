"""A number estimated from samples, with the error that it carries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

ERROR_SUFFIX = "_se"  # of the tag that logs an estimate's error
Z95 = 1.96  # standard errors on either side that hold 95 % of a normal distribution
EVEN = 2 / 3  # of the shorter to the longer side of an interval that still counts as symmetric

Ends = tuple[float | None, float | None]  # of an interval; None where nothing can be said on that side


class Estimate(float):
    """A float that knows how sure it is; what is computed from it is a plain float again.

    Attributes:
        error: Standard error over samples, in the value's unit; None where none is known.
        n: Independent units on each side that it was estimated from (samples, pairs, packs); None if unknown.
        is_lower_bound: Whether its expectation is below the quantity of its name by an unknown amount.
        caveat: Why the quantity need not lie within ±1.96 errors in 95 % of repetitions; "" if it does, or if it lies
            within ``interval``.
        interval: The ends of a 95 % interval where they are others than ±1.96 errors, else None.
    """

    error: float | None
    n: int | None
    is_lower_bound: bool
    caveat: str
    interval: Ends | None

    def __new__(
        cls,
        value: float,
        error: float | None = None,
        n: int | None = None,
        is_lower_bound: bool = False,
        caveat: str = "",
        interval: Sequence[float | None] | None = None,
    ) -> Estimate:
        self = super().__new__(cls, value)
        self.error, self.n, self.is_lower_bound, self.caveat = error, n, is_lower_bound, caveat
        self.interval = None if interval is None else (interval[0], interval[1])
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return float(self), self.error, self.n, self.is_lower_bound, self.caveat, self.interval

    @property
    def low(self) -> float | None:
        """Where the 95 % interval begins; None where that is not known."""
        return self._ends()[0]

    @property
    def high(self) -> float | None:
        """Where the 95 % interval ends; None where that is not known."""
        return self._ends()[1]

    @property
    def is_symmetric(self) -> bool:
        """Whether both ends are about as far from the value, so that ± its error says the same."""
        low, high = self._ends()
        if low is None or high is None:
            return False
        below, above = self - low, high - self
        return min(below, above) >= EVEN * max(below, above)

    def _ends(self) -> Ends:
        if self.interval is not None:
            return self.interval
        if self.caveat or self.error is None or not math.isfinite(self.error):
            return None, None
        return float(self) - Z95 * self.error, float(self) + Z95 * self.error

    @classmethod
    def of(cls, value: float) -> Estimate:
        """Return an estimate as it is, and any other number as one without a known error."""
        return value if isinstance(value, Estimate) else cls(value)

    def with_error(self, error: float | None) -> Estimate:
        """Return the same estimate with another error, and with that one's caveat and interval if it has none."""
        caveat, interval = self.caveat, self.interval
        if isinstance(error, Estimate):
            caveat, interval = caveat or error.caveat, interval or error.interval
        known = None if error is None else float(error)
        return Estimate(self, known, self.n, self.is_lower_bound, caveat, interval)

    def transform(self, function: Callable[[float], float]) -> Estimate:
        """Return an increasing function of this one: its interval is the image of this one's.

        Its error is half the image of the interval of ±1.96 errors, in such errors.
        """
        value, error, interval = float(self), self.error, None
        if error is not None:
            error = (function(value + Z95 * error) - function(value - Z95 * error)) / (2 * Z95)
        if (self.low, self.high) != (None, None):
            low, high = (None if end is None else function(end) for end in (self.low, self.high))
            interval = low, high
        return Estimate(function(value), error, self.n, self.is_lower_bound, self.caveat, interval)

    def plain(self) -> list[Any]:
        """Return plain data that make an equal estimate: ``Estimate(*plain)``."""
        return list(self.__getnewargs__())

    def description(self) -> dict[str, Any]:
        """Return what is known of it besides its value, as plain data."""
        known = {
            "se": self.error,
            "n": self.n,
            "lower_bound": self.is_lower_bound or None,
            "caveat": self.caveat,
        }
        return {key: value for key, value in known.items() if value not in (None, "")}

    def interval_description(self, floor: float | None = None) -> dict[str, Any]:
        """Return the value, the ends of its 95 % interval, or why one is missing, and its floor, as plain data."""
        ends: dict[str, Any] = {
            "value": float(self),
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "floor": floor,
        }
        if self.low is None or self.high is None:
            ends["why"] = self.caveat or "no error over samples is known"
        return ends
