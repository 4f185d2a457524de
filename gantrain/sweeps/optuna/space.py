"""The space of a search: keys, and between which values or among which choices they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gantrain.errors import ConfigError

DIGITS = 4  # of a drawn number, which a person can then type again


@dataclass(frozen=True)
class Dimension:
    """A key of the space and what it may be.

    Attributes:
        key: The config key.
        choices: Its values as words; none for numbers between ``low`` and ``high``.
        low: Smallest number.
        high: Largest number.
        step: Distance of numbers that are not dense.
        log: Whether numbers are drawn on a logarithmic scale.
        whole: Whether numbers are whole.
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
            raise ConfigError(
                self.key, "has steps on a logarithmic scale", "write interval in place of range"
            )

    def of_kind(self, value: Any) -> Dimension:
        """Return it with whole numbers where a legal value is one. Raises ConfigError for steps between them."""
        if self.choices or isinstance(value, bool) or not isinstance(value, int):
            return self
        if not all(float(number).is_integer() for number in (self.low, self.high, self.step or 1)):
            raise ConfigError(self.key, "is a whole number", "give whole bounds and steps")
        return replace(self, whole=True)

    @property
    def ends(self) -> tuple[str, ...]:
        """Every choice, or the smallest and the largest number, as words."""
        return self.choices or (self.word(self.low), self.word(self.high))

    def word(self, value: Any) -> str:
        """Return a value that was drawn as it is written on the command line: numbers with four digits."""
        if self.choices:
            return str(value)
        if self.whole or float(value).is_integer():  # a whole number suits keys of both kinds
            return str(round(value))
        short = f"{value:.{DIGITS}g}"
        return short if self.low <= float(short) <= self.high else repr(value)

    def distribution(self) -> Any:
        """Return the same as Optuna has it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            step = 1 if self.step is None else round(self.step)
            return IntDistribution(round(self.low), round(self.high), log=self.log, step=step)
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def __str__(self) -> str:
        """Say it in words."""
        if self.choices:
            return f"{self.key} in {', '.join(self.choices)}"
        scale = " (log)" if self.log else f" by {self.step:g}" if self.step else ""
        return f"{self.key} from {self.ends[0]} to {self.ends[1]}{scale}"


def corners(space: Sequence[Dimension]) -> list[list[str]]:
    """Return words for the edge of a space: every end of each key, with the others at their first, and all last."""
    first = [dimension.ends[0] for dimension in space]
    found = [first, [dimension.ends[-1] for dimension in space]]
    for i, dimension in enumerate(space):
        found += [[*first[:i], end, *first[i + 1 :]] for end in dimension.ends[1:]]
    named = [
        [f"{dimension.key}={value}" for dimension, value in zip(space, values, strict=True)]
        for values in found
    ]
    return [words for i, words in enumerate(named) if words not in named[:i]]
