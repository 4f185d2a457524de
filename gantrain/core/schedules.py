"""Schedules: when something is due, and how numbers move over a run; pure functions of the step."""

import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Numbers = Mapping[str, object]  # values of keys, floats or 0-dim tensors
KINDS = ("constant", "linear", "cosine")


def due(step: int, every: int, last: int) -> bool:
    """Return whether work of every ``every`` steps is due after ``step``; always at ``last``, never with 0."""
    return every > 0 and (step % every == 0 or step >= last)


def progress(step: int, horizon: int) -> float:
    """Return the share in [0, 1] of a ramp that ends at ``horizon``, after ``step`` finished steps; then it stays 1."""
    return min(step / horizon, 1.0)


def remaining(kind: str, progress: float) -> float:
    """Return the share in [0, 1] of the way that is left, from 1 to 0.

    Args:
        kind: ``constant``, ``linear`` or ``cosine`` (half a period; Loshchilov and Hutter 2017, eq. 5).
        progress: In [0, 1].
    """
    if kind == "linear":
        return 1.0 - progress
    if kind == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * progress))
    return 1.0


def warmup(step: int, steps: int) -> float:
    """Return the factor in (0, 1] on a number that rises linearly over its first ``steps`` updates."""
    return min(1.0, (step + 1) / (steps + 1))  # 1 in every step for steps = 0


@dataclass(frozen=True)
class Ramp:
    """A number that moves.

    Attributes:
        start: Its value in the first step, but for a warm-up.
        end: Its value from ``horizon`` finished steps on.
        kind: How it gets there: ``constant`` stays at the start, ``linear`` or ``cosine``.
        horizon: Steps of the way.
        warmup: Steps over which the number rises from 0.
    """

    start: float
    end: float
    kind: str
    horizon: int
    warmup: int = 0

    def left(self, step: int) -> float:
        """Return the share in [0, 1] of the way that is left after ``step`` finished steps."""
        return remaining(self.kind, progress(step, self.horizon))

    def at(self, step: int) -> float:
        """Return the number in the step after ``step`` finished ones."""
        left = self.left(step)
        number = self.start if left == 1.0 else self.end + (self.start - self.end) * left
        return number * warmup(step, self.warmup)

    @property
    def ends_elsewhere(self) -> bool:
        """Whether it goes from its start to another number."""
        return self.kind != "constant" and self.start != self.end

    @property
    def moves(self) -> bool:
        """Whether it is ever another number."""
        return self.ends_elsewhere or (self.warmup > 0 and self.start > 0)


def ends(options: object) -> Iterator[tuple[str, float, float]]:
    """Yield each key X of a dataclass that has an X_end other than null, with the values of both."""
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        key = field.name.removesuffix("_end")
        if key != field.name and (end := getattr(options, field.name)) is not None:
            yield key, getattr(options, key), end


def with_numbers(options: T, numbers: Numbers) -> T:
    """Return the options with other values of some keys."""
    if not numbers:
        return options
    options = copy.copy(options)
    for key, number in numbers.items():
        setattr(options, key, number)
    return options


def ema_decay(decay: float, step: int) -> float:
    """Return the EMA decay after ``step`` updates, ramped so that a young average forgets its random start.

    The ramp (1 + t) / (10 + t) is that of TensorFlow's ExponentialMovingAverage with ``num_updates``.
    """
    return min(decay, (1 + step) / (10 + step))


def half_life_decay(half_life: float, images: int) -> float:
    """Return the EMA decay of a step of so many images, by which weights count half after ``half_life`` of them."""
    return 0.5 ** (images / half_life) if half_life > 0 else 0.0
