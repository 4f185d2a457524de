"""The space of a search: keys with their bounds or choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gantrain.errors import ConfigError

DIGITS = 4  # significant digits of a sampled number, so that a person can type it again


@dataclass(frozen=True)
class Dimension:
    """A key of the space and its possible values.

    Attributes:
        key: The config key.
        choices: Its values as text; empty for numbers between ``low`` and ``high``.
        low: Smallest number.
        high: Largest number.
        step: Distance between the possible numbers; None for any number.
        log: Whether the logarithm of the number is uniform.
        whole: Whether numbers are integers.
    """

    key: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.choices and self.low > self.high:
            what = f"begins at {self.low:g} and ends at {self.high:g}"
            raise ConfigError(self.key, what, "write the smaller bound first")
        if self.log and not self.low > 0:
            what = f"begins at {self.low:g} on a logarithmic scale"
            raise ConfigError(self.key, what, "begin above 0, or leave out tag(log, ...)")
        if self.log and self.step:
            what = "has steps on a logarithmic scale"
            raise ConfigError(self.key, what, "write interval in place of range")

    def with_type_of(self, value: Any) -> Dimension:
        """Return it as integers where ``value``, a legal value of the key, is one. Raises ConfigError for fractions."""
        if self.choices or isinstance(value, bool) or not isinstance(value, int):  # a bool is an int too
            return self
        if not all(float(number).is_integer() for number in (self.low, self.high, self.step or 1)):
            raise ConfigError(self.key, "is a whole number", "give whole bounds and steps")
        return replace(self, whole=True)

    @property
    def ends(self) -> tuple[str, ...]:
        """Every choice, or the smallest and the largest number, as text."""
        return self.choices or (self.format(self.low), self.format(self.high))

    def holds(self, value: Any) -> bool:
        """Whether a value is one of its choices, or a number between its bounds."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high

    def format(self, value: Any) -> str:
        """Return a sampled value as text for the command line: numbers with four significant digits, in the bounds."""
        if self.choices:
            return str(value)
        if self.whole or float(value).is_integer():  # an integer suits float keys too
            return str(round(value))
        short = f"{value:.{DIGITS}g}"
        # Rounding must not leave the bounds, which the config may check.
        return short if self.low <= float(short) <= self.high else repr(value)

    def distribution(self) -> Any:
        """Return Optuna's distribution for it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            step = 1 if self.step is None else round(self.step)
            return IntDistribution(round(self.low), round(self.high), log=self.log, step=step)
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def __str__(self) -> str:
        if self.choices:
            return f"{self.key} in {', '.join(self.choices)}"
        scale = " (log)" if self.log else f" by {self.step:g}" if self.step else ""
        return f"{self.key} from {self.ends[0]} to {self.ends[1]}{scale}"


def corners(space: Sequence[Dimension]) -> list[list[str]]:
    """Return the overrides of points on the edge of a space, which are checked before the search."""
    # All keys at their first end, all at their last, and each at every other end with the rest at their first.
    first = [dimension.ends[0] for dimension in space]
    points = [first, [dimension.ends[-1] for dimension in space]]
    for i, dimension in enumerate(space):
        points += [[*first[:i], end, *first[i + 1 :]] for end in dimension.ends[1:]]
    keys = [dimension.key for dimension in space]
    unique = dict.fromkeys(map(tuple, points))
    return [[f"{key}={value}" for key, value in zip(keys, values, strict=True)] for values in unique]
