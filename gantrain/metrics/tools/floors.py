"""Floors: what metrics read for fresh real samples in place of those of a generator, and how much that varies."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.features.tools.reserved import split_reserved_samples
from gantrain.metrics.base import Evaluation, Metric
from gantrain.metrics.evaluation import in_double
from gantrain.metrics.side import Side, is_large
from gantrain.metrics.tools.errors import student_margin

Share = Callable[[Iterable[Evaluation], Callable[[Evaluation], Any]], list[Any]]
SPLITS, FEWEST_SPLITS = 20, 5  # of the real samples, for the mean of a floor and its spread
SAMPLES_OF_SPLITS = 10_000  # on each side in all splits, unless that were fewer than ``FEWEST_SPLITS``
ENOUGH = 0.9  # of the samples of a reading, for a floor without a caveat


def real_against_real(evaluation: Evaluation, compares_real: bool) -> Iterator[Evaluation]:
    """Yield evaluations of real samples in place of those of G, from random splits of held-out and reserved samples.

    Both sides have as many samples as the evaluation, or half of all that there are. A conditional G is given the
    labels of the held-out side, so both sides have the same labels then.

    Args:
        evaluation: That of G.
        compares_real: Whether the other side is used; if not, one side may take all samples.
    """
    data, n = evaluation.data, evaluation.n
    _, reserved = split_reserved_samples(data)
    held = len(data.holdout)
    total = held + len(reserved)

    def read(index: Tensor) -> Tensor:
        first, second = index[index < held], index[index >= held]
        back = torch.cat([(index < held).nonzero()[:, 0], (index >= held).nonzero()[:, 0]]).argsort()
        x, _ = data.holdout.take(first, evaluation.device)
        other, _ = data.train.take(reserved[second - held], evaluation.device)
        return torch.cat([x, other])[back.to(evaluation.device)]

    def take(index: Tensor) -> Side:
        y = None if labels is None else labels[index].to(evaluation.device)
        return Side(lambda rows: read(index[rows]), y, len(index), is_large(len(index), data.spec))

    labels = None
    if data.holdout.y is not None and data.train.y is not None:
        labels = torch.cat([data.holdout.y, data.train.y[reserved]])
    matches = evaluation.conditional and labels is not None and labels.dim() == 1
    draws = torch.Generator().manual_seed(evaluation.seed)
    for _ in range(max(FEWEST_SPLITS, min(SPLITS, SAMPLES_OF_SPLITS // n))):
        order = torch.randperm(total, generator=draws)
        if not compares_real:
            yield replace(evaluation, substitute=take(order[:n]))
            continue
        if matches and labels is not None:
            order = order[labels[order].argsort(stable=True)]
        pairs = order[: total // 2 * 2].unflatten(0, (-1, 2))
        if matches and labels is not None:
            pairs = pairs[labels[pairs[:, 0]] == labels[pairs[:, 1]]]
            pairs = pairs[torch.randperm(len(pairs), generator=draws)]
        if len(pairs) > 1:
            a, b = pairs[:n].unbind(1)
            suite = replace(evaluation.suite, n=len(a))
            yield replace(
                evaluation,
                suite=suite,
                reference=partial(take, a),
                substitute=partial(take, b),
                read_features=partial(_pool_rows, evaluation, a, b),
            )


def pool_features(evaluation: Evaluation) -> Tensor:
    """Return the features of all held-out and then of all reserved samples."""
    _, reserved = split_reserved_samples(evaluation.data)
    parts = (
        (evaluation.data.holdout, torch.arange(len(evaluation.data.holdout))),
        (evaluation.data.train, reserved),
    )
    return torch.cat([in_double(evaluation.features_of_split(*part)) for part in parts if len(part[1])])


def _pool_rows(evaluation: Evaluation, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    features = evaluation.once(pool_features)
    return features[a], features[b]


def read_all(splits: Iterable[Evaluation], read: Callable[[Evaluation], Any]) -> list[Any]:
    """Return what ``read`` returns for each split."""
    return [read(split) for split in splits]


def floors(metric: Metric, evaluation: Evaluation, share: Share = read_all) -> dict[str, Estimate]:
    """Return a metric's mean over splits of fresh real samples; its error is the spread, sd, of one such reading.

    The spread of few splits has Student's margin; the variance between pools is added where the metric knows it. Where
    only one side counts, splits share samples and vary too little; then it is the metric's own error. It says nothing
    of G, so that a metric computes it once for the same data.

    Args:
        metric: Computed for each split.
        evaluation: That of G.
        share: Returns plain data for each split, in order, which several processes may read.
    """
    known = metric.known_floors(evaluation)
    if known is not None:
        return known
    sides = evaluation.n, evaluation.seed, evaluation.suite.k, evaluation.conditional, evaluation.device
    key = *sides, evaluation.feature_name
    last = getattr(metric, "_last_floors", None)
    if last is None or last[0] is not evaluation.data or last[1] != key:
        last = evaluation.data, key, _compute(metric, evaluation, share)
        metric._last_floors = last  # type: ignore[attr-defined]
    found: dict[str, Estimate] = last[2]
    return found


def _compute(metric: Metric, evaluation: Evaluation, share: Share) -> dict[str, Estimate]:
    def read(split: Evaluation) -> list[Any]:
        values = {tag: Estimate.of(value).plain() for tag, value in metric(split).items()}
        errors = {} if metric.compares_real else metric.errors(split)
        between = metric.variance_between_pools(split) if metric.compares_real else {}
        return [split.n, values, {tag: float(error) for tag, error in errors.items()}, between]

    readings = share(real_against_real(evaluation, metric.compares_real), read)
    fresh = min((n for n, *_ in readings), default=0)
    caveat = f"only {fresh} fresh real samples a side" if fresh < ENOUGH * evaluation.n else ""
    found = {}
    for tag in readings[0][1] if readings else ():
        values = [Estimate(*plain[tag]) for _, plain, *_ in readings if tag in plain]
        own = [errors[tag] for _, _, errors, _ in readings if tag in errors]
        between = statistics.fmean([variances.get(tag, 0.0) for *_, variances in readings])
        if own:
            spread: float | None = statistics.fmean(error**2 for error in own) ** 0.5
        else:
            few = len(values) - 1  # of so many degrees of freedom is a spread of the splits
            spread = (
                (student_margin(few) ** 2 * statistics.variance(values) + max(between, 0)) ** 0.5
                if few
                else None
            )
        found[tag] = Estimate(statistics.fmean(values), spread, values[0].n, caveat=caveat)
    return found
