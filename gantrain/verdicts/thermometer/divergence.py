"""The Jensen-Shannon divergence of two sets of samples: what classifiers achieve on samples that they did not see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gantrain.core.estimate import Z95, Estimate
from gantrain.verdicts.thermometer.learners import (
    Array,
    Learner,
    find_nearest,
    fit_neighbours,
    learners_of_pictures,
    learners_of_points,
    minimise_logistic,
)

LOG_2 = math.log(2)
FOLDS, IMAGE_FOLDS = 4, 2
VALIDATION = 0.15  # of the samples of a fit, which stop it
# From half of the samples to all, the bound gains D. At a rate of 1 / n the truth is D beyond it, at the slower rate
# of networks in many dimensions 2 D: between the two, by benchmarks/thermometer.py.
SLOPE, SLOPE_ERROR = 1.6, 0.45
SURE = 2.326  # standard errors: one false alarm in 100
CLOSE = 0.02  # nats: what counts as known
LOCAL, MUTUAL = 5, 1.3  # nearest samples; by how much their being each other's makes an error larger
MAX_GAIN = 0.5  # of the bound that the second half of the samples may have brought, if it is to be trusted
FEW_DIMENSIONS, ENOUGH = 8, 1000  # in which so many samples show the absence of a difference


@dataclass(frozen=True)
class Divergence:
    """What classifiers achieved.

    Attributes:
        jsd: In nats, a lower bound; its interval reaches up to where the bound would rise with more samples.
        total_variation: In [0, 1], a lower bound.
        gain: What the second half of the samples added to the bound, and its standard error.
        unexplained: What nearest neighbours see of a divergence beyond the bound, and its standard error; in nats.
        dimensions: Numbers of a sample.
        learners: The weight of each kind of classifier in the logit.
    """

    jsd: Estimate
    total_variation: Estimate
    gain: Estimate
    unexplained: Estimate
    dimensions: int
    learners: dict[str, float]

    @property
    def is_different(self) -> bool:
        """Whether the two distributions differ, at a level of 1 %."""
        return bool(self.jsd.error) and self.jsd > SURE * float(self.jsd.error or 0)

    @property
    def is_close(self) -> bool:
        """Whether the divergence is known to 0.02 nats, as far as the learning curve shows it."""
        low, high = self.jsd.low, self.jsd.high
        if low is None or high is None or max(high - self.jsd, self.jsd - low) > CLOSE:
            return False
        if self.unexplained + Z95 * float(self.unexplained.error or 0) > CLOSE:
            return False
        return self.gain < MAX_GAIN * self.jsd if self.is_different else self.shows_absence

    @property
    def shows_absence(self) -> bool:
        """Whether so many samples of so few numbers would have shown a difference that is not a fine one."""
        n = self.jsd.n or 0
        return self.dimensions <= FEW_DIMENSIONS and n >= ENOUGH


def unexplained_divergence(x: Array, side: Array, logits: Array) -> Estimate:
    """Return how much of the divergence at the scale of nearest neighbours is not in the logits, in nats.

    Of two neighbours, the sides agree by (2 D - 1)^2 more often than not, with D the probability of real there, which
    needs no fit (Cover and Hart 1967), and half of that is the divergence where it is small. Below 0 where neighbours
    are too far apart for the structure that logits know.

    Args:
        x: Samples of both sides, [N, d].
        side: 1 for real, 0 for fake, [N].
        logits: Of real, [N].
    """
    nearest = find_nearest(x, x, LOCAL + 1)
    itself = np.arange(len(x))
    is_other = nearest != itself[:, None]
    is_other[is_other.all(1), -1] = False  # of many equal samples none may be the sample itself
    others = nearest[is_other].reshape(len(x), LOCAL)
    agreement = 2 * (side[others] == side[:, None]).mean(1) - 1
    beyond = 0.5 * (agreement - np.tanh(logits / 2) ** 2)
    return Estimate(float(beyond.mean()), MUTUAL * float(beyond.std()) / len(x) ** 0.5)


def divergence(
    learners: Sequence[Learner], x: Array, side: Array, dimensions: int, folds: int, seed: int
) -> Divergence:
    """Return what the learners achieve together, each on samples that it was not fitted to.

    The logit is a weighted sum of theirs. All samples are used, each held out once.

    Args:
        learners: Of all samples.
        x: Numbers of all samples whose distances mean something, [N, d].
        side: 1 for a real sample and 0 for a fake one, [N]; as many of each.
        dimensions: Numbers of a sample.
        folds: Parts of the samples, of which each is held out in turn.
        seed: Of the parts.
    """
    draws = np.random.default_rng(seed)
    fold = np.empty(len(side), int)
    for which in (0, 1):
        rows = np.flatnonzero(side == which)
        fold[draws.permutation(rows)] = np.arange(len(rows)) % folds
    logits = {part: np.zeros((len(side), len(learners))) for part in (1, 2)}
    most = math.log(len(side) / 2)  # no more can be known of so many samples, and one that is wrong costs it
    for held_out in range(folds):
        known = draws.permutation(np.flatnonzero(fold != held_out))
        rows = np.flatnonzero(fold == held_out)
        for part, found in logits.items():
            some = np.concatenate([known[side[known] == which][::part] for which in (0, 1)])
            some = draws.permutation(some)
            stop, fit = np.split(some, [max(round(VALIDATION * len(some)), 1)])
            for column, one in enumerate(learners):
                seen = one.inputs
                predict = one.fit(seen[fit], side[fit], seen[stop], side[stop], seed)
                found[rows, column] = predict(seen[rows]).clip(-most, most)
    whole, weights = _combine(logits[1], side, fold)
    half, _ = _combine(logits[2], side, fold)
    shares = {one.name: round(float(weight), 3) for one, weight in zip(learners, weights, strict=True)}
    jsd, variation, gain = _read(whole, half, side)
    return Divergence(jsd, variation, gain, unexplained_divergence(x, side, whole), dimensions, shares)


def _combine(logits: Array, side: Array, fold: Array) -> tuple[Array, Array]:
    """Return the weighted sum of logits [N, learners] of each sample, and the mean weights.

    Weights are at least 0, and fitted to the other folds.
    """
    columns = logits.shape[1]
    found, weights = np.zeros(len(side)), []
    start = np.full(1 + columns, 1 / columns)
    start[0] = 0.0
    bounds = [(None, None), *[(0.0, 2.0)] * columns]
    for part in np.unique(fold):
        others = fold != part
        fitted = minimise_logistic(logits[others], side[others], start, 1 / others.sum(), bounds)
        found[~others] = logits[~others] @ fitted[1:] + fitted[0]
        weights.append(fitted[1:])
    most = math.log(len(side) / 2)
    return found.clip(-most, most), np.mean(weights, 0)


def _read(whole: Array, half: Array, side: Array) -> tuple[Estimate, Estimate, Estimate]:
    """Return JSD, total variation and the gain by the second half of the samples.

    Args:
        whole: Logits of fits to all known samples, [N].
        half: Logits of fits to half of them, [N].
        side: 1 for real, 0 for fake, [N].
    """
    n = int(side.sum())
    sign = 2 * side - 1
    terms, earlier = (LOG_2 - np.logaddexp(0, -sign * logits) for logits in (whole, half))
    bound, error = _mean_of_sides(terms, side)
    gain, gain_error = _mean_of_sides(terms - earlier, side)
    more = SLOPE * max(gain, 0.0)
    spread = math.hypot(error, SLOPE * gain_error, SLOPE_ERROR * max(gain, 0.0))
    interval = (max(bound - Z95 * error, 0.0), min(max(bound + more, 0.0) + Z95 * spread, LOG_2))
    jsd = Estimate(max(bound, 0.0), error, n, is_lower_bound=True, interval=interval)
    right, right_error = _mean_of_sides((sign * whole > 0) + 0.5 * (whole == 0), side)
    variation = Estimate(max(2 * right - 1, 0.0), 2 * right_error, n, is_lower_bound=True)
    return jsd, variation, Estimate(gain, gain_error)


def _mean_of_sides(values: Array, side: Array) -> tuple[float, float]:
    """Return half the sum of the means of both sides of values [N], and its standard error."""
    parts = [values[side == which] for which in (0, 1)]
    variance = sum(part.var(ddof=1) / len(part) for part in parts)
    return float(0.5 * sum(part.mean() for part in parts)), float(0.5 * math.sqrt(variance))


def divergence_of_points(real: Array, fake: Array, seed: int = 0) -> Divergence:
    """Return the divergence of as many points on both sides, [n, d] each."""
    both = np.concatenate([real, fake]).astype(float)
    side = np.repeat([1, 0], len(real))
    learners = learners_of_points(both)
    return divergence(learners, _distances(learners), side, both.shape[1], FOLDS, seed)


def _distances(learners: Sequence[Learner]) -> Array:
    return next(np.asarray(one.inputs) for one in learners if one.fit is fit_neighbours)


def divergence_of_pictures(
    real: Tensor, fake: Tensor, features: tuple[Array, Array] | None = None, seed: int = 0
) -> Divergence:
    """Return the divergence of as many pictures on both sides, [n, C, H, W] in [-1, 1]; their features likewise."""
    both, side = torch.cat([real, fake]), np.repeat([1, 0], len(real))
    known = None if features is None else np.concatenate(features)
    learners = learners_of_pictures(both, known)
    return divergence(learners, _distances(learners), side, both[0].numel(), IMAGE_FOLDS, seed)
