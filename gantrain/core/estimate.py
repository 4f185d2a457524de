"""A number estimated from samples, with the error that it carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

ERROR_SUFFIX = "_se"  # of the tag that logs an estimate's error
Z95 = 1.96  # standard errors on either side that hold 95 % of a normal distribution
EVEN = 2 / 3  # of the shorter to the longer side of an interval that still counts as symmetric


class Estimate(float):
    """A float that knows how sure it is; what is computed from it is a plain float again.

    Attributes:
        error: Standard error over samples, in the value's unit; None where none is known.
        n: Independent units on each side that it was estimated from (samples, pairs, packs); None if unknown.
        is_lower_bound: Whether its expectation is below the quantity of its name by an unknown amount.
        caveat: Why the quantity need not lie within ±1.96 errors in 95 % of repetitions; "" if it does.
    """

    error: float | None
    n: int | None
    is_lower_bound: bool
    caveat: str

    def __new__(
        cls,
        value: float,
        error: float | None = None,
        n: int | None = None,
        is_lower_bound: bool = False,
        caveat: str = "",
    ) -> Estimate:
        self = super().__new__(cls, value)
        self.error, self.n, self.is_lower_bound, self.caveat = error, n, is_lower_bound, caveat
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return float(self), self.error, self.n, self.is_lower_bound, self.caveat

    @classmethod
    def of(cls, value: float) -> Estimate:
        """Return an estimate as it is, and any other number as one without a known error."""
        return value if isinstance(value, Estimate) else cls(value)

    def with_error(self, error: float | None) -> Estimate:
        """Return the same estimate with another error, and with that one's caveat if it has none."""
        caveat = self.caveat or (error.caveat if isinstance(error, Estimate) else "")
        return Estimate(self, None if error is None else float(error), self.n, self.is_lower_bound, caveat)

    def transform(self, function: Callable[[float], float]) -> Estimate:
        """Return an increasing function of this one.

        Its error is half the image of the interval of ±1.96 errors, in such errors; that is not reliable where one
        side of the image is much longer than the other.
        """
        value, error, caveat = float(self), self.error, self.caveat
        if error is not None:
            low, middle, high = (function(value + side * Z95 * error) for side in (-1, 0, 1))
            error = (high - low) / (2 * Z95)
            if min(high - middle, middle - low) < EVEN * max(high - middle, middle - low):
                caveat = caveat or "its scale bends within the error"
        return Estimate(function(value), error, self.n, self.is_lower_bound, caveat)

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
