"""Samples of conditional models by their class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.metrics.base import RunSpec

FEWEST = 20  # samples of a class on each side, for a number of that class


def why_no_classes(run: RunSpec) -> str | None:
    """Return why a run has no samples of several classes, or None when it has."""
    if run.spec.condition or run.spec.classes < 2:
        return "the condition is not one of several classes"
    if run.objective is None:
        return None if run.conditional else "the samples have no labels"
    return None if run.conditional else "the model is not conditional (model.condition=none)"


def why_few(run: RunSpec) -> str | None:
    """Return why the classes of a run are too small to be compared one by one, or None when they are not."""
    if reason := why_no_classes(run):
        return reason
    if run.n < FEWEST * run.spec.classes:
        least = FEWEST * run.spec.classes
        return f"metric.n={run.n} is fewer than {FEWEST} samples of each class, as metric.n={least} is"
    if run.data is None or run.data.holdout.y is None:
        return None
    y = run.data.holdout.y
    counts = y.bincount(minlength=run.spec.classes)
    kept = min(1.0, run.n / len(y))
    least = int(counts.argmin())
    if kept * counts[least] >= FEWEST:
        return None
    what = f"class {least} has {int(counts[least])} held-out samples"
    return f"{what}, of which {kept:.0%} are compared, and its numbers need {FEWEST}"


def rows_of_classes(y: Tensor, of_others: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the rows of each class on two sides with labels [n] and [m], of those with enough samples on both."""
    kinds, sides = torch.unique(y), (y, of_others)
    rows = [[(side == kind).nonzero()[:, 0] for side in sides] for kind in kinds]
    return [(a, b) for a, b in rows if min(len(a), len(b)) >= FEWEST]


def mean_over_classes(found: Iterable[Estimate]) -> Estimate:
    """Return the mean of independent estimates, with the error of that mean and the first caveat."""
    known = list(found)
    variance = sum((one.error or 0.0) ** 2 for one in known)
    n = min((one.n for one in known if one.n is not None), default=None)
    caveat = next((one.caveat for one in known if one.caveat), "")
    return Estimate(math.fsum(known) / len(known), math.sqrt(variance) / len(known), n, caveat=caveat)


def counts_protocol(rows: list[tuple[Tensor, Tensor]], classes: int) -> Mapping[str, object]:
    """Return how many classes were compared, and the samples of the smallest; a warning if it is not all of them."""
    own: dict[str, object] = {"classes": len(rows)}
    if rows:
        own["n_per_class"] = min(min(len(a), len(b)) for a, b in rows)
    if len(rows) < classes:
        what = f"{classes - len(rows)} of {classes} classes have fewer than {FEWEST} samples and are left out"
        own["warning"] = f"{what}; raise metric.n or dataset.n_holdout"
    return own
