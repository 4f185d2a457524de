"""Intervals of 95 % that are not symmetric: of shares, and of squared distances that chance alone keeps above 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gantrain.core.estimate import Z95, Estimate

MISSES = 0.025  # probability on either side
HALVINGS = 60  # of the range in which an end lies
CLEAR_OF_ZERO = 3  # errors from 0 that a distance is, for it to be nearly normal
CLEAR = 4  # times the quadratic part of its variance is the linear part then


def share_interval(share: float, n: float) -> tuple[float, float]:
    """Return the interval of a probability from a share in [0, 1] of n samples, which need be no whole numbers.

    Its ends are those that the mid-P value of an exact binomial test leaves (Lancaster 1961; Berry and Armitage 1995):
    of no hit in n samples 0 to 1 - 0.05^(1/n), the rule of three. Samples that come in clusters count as fewer.
    """
    from scipy.special import betainc

    hits, misses = share * n, (1 - share) * n

    def more(
        p: float,
    ) -> float:  # P(more hits) + P(as many) / 2, as both tails of the binomial law are beta integrals
        as_many_or_more = betainc(hits, misses + 1, p) if hits > 0 else 1.0
        more_alone = betainc(hits + 1, misses, p) if misses > 0 else 0.0
        return float(as_many_or_more + more_alone) / 2

    low = 0.0 if hits <= 0 else _root(lambda p: more(p) - MISSES, 0.0, 1.0)
    high = 1.0 if misses <= 0 else _root(lambda p: more(p) - (1 - MISSES), 0.0, 1.0)
    return low, high


@dataclass(frozen=True)
class SquaredSpread:
    """How readings of a squared distance vary over samples.

    Attributes:
        linear: The part of their variance that is linear in the samples, and 0 where both laws are equal.
        quadratic: The part that is alone then, positive.
        scale: Of the chi-squared variable that such a reading is like, times which it is a sum of squares.
        caveat: Why neither error nor interval holds; "" if they do.
    """

    linear: float
    quadratic: float
    scale: float
    caveat: str = ""

    @property
    def error(self) -> float:
        """The standard error."""
        return (self.linear + self.quadratic) ** 0.5

    def error_of(self, value: float, bias: float = 0.0, bias_error: float = 0.0) -> Estimate:
        """Return the error of a reading whose expectation is the squared distance and a ``bias`` with an error.

        Far from equality the reading is nearly normal. Near it, it is like c times a centred chi-squared variable,
        whose noncentrality times c is the distance, at least 0; the linear part of its variance is 4 c times that.
        """
        distance = value - bias
        if self.caveat or not self.quadratic > 0:
            return Estimate(self.error, caveat=self.caveat)
        if distance >= CLEAR_OF_ZERO * self.error and self.linear >= CLEAR * self.quadratic:
            return Estimate(self.error)
        known = self.linear / (4 * distance) if distance > self.error else 0.0
        scale = max(self.scale, known)
        ends = squared_interval(distance, scale, self.quadratic / (2 * scale**2))
        # Of equal laws the expectation is the bias itself.
        low = bias + (ends[0] or -Z95 * bias_error)
        return Estimate(self.error, interval=(min(low, value), max(bias + ends[1], value)))

    @classmethod
    def of_mean(cls, spreads: Sequence[SquaredSpread]) -> SquaredSpread:
        """Return that of the mean of independent readings."""
        n = len(spreads)
        linear, quadratic = (sum(getattr(one, name) for one in spreads) for name in ("linear", "quadratic"))
        caveat = next((one.caveat for one in spreads if one.caveat), "")
        return cls(linear / n**2, quadratic / n**2, max(one.scale for one in spreads) / n, caveat)


def squared_interval(distance: float, scale: float, freedom: float) -> tuple[float, float]:
    """Return the interval of ``scale`` times the noncentrality of a chi-squared variable.

    Args:
        distance: An unbiased reading of that: the variable less its degrees of freedom, times the scale.
        scale: Positive.
        freedom: Degrees of freedom, positive.
    """
    from scipy.special import chdtrc, chndtr

    reading = max(distance / scale + freedom, 0.0)

    def above(excess: float) -> float:
        return 1 - float(chndtr(reading, freedom, excess)) if excess > 0 else float(chdtrc(freedom, reading))

    def end(probability: float) -> float:
        """Return the excess under which a reading is above this one with a probability."""
        if above(0.0) >= probability:
            return 0.0
        most = 2 * reading + 10 * math.sqrt(2 * freedom) + 30
        return _root(lambda excess: above(excess) - probability, 0.0, most)

    return scale * end(MISSES), scale * end(1 - MISSES)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where an increasing function is 0, between two ends at which it is below and above that."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2
