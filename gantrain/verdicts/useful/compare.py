"""Train every arm under every seed, on all training data and with one class cut to few."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.core.work_progress import WorkProgress
from gantrain.datasets.base import Data, Split
from gantrain.verdicts.useful.arms import REAL, Source, arms_for, predictions
from gantrain.verdicts.useful.gains import Interval, mean_interval

MOST_TEST = 10_000  # samples that arms are tested on


@dataclass(frozen=True)
class Case:
    """One comparison of all arms.

    Attributes:
        hits: Whether each test sample was classified right, by arm, shape [seeds, N].
        labels: The class of each test sample, [N].
        counts: Real training samples of each class.
        rare: The class that was cut; None for all training data.
        before: Its samples before.
    """

    hits: dict[str, Tensor] = field(repr=False)
    labels: Tensor = field(repr=False)
    counts: list[int]
    rare: int | None = None
    before: int = 0

    def accuracy(self, arm: str) -> Interval:
        """Return an arm's share of right answers over all test samples."""
        return mean_interval(self.hits[arm])

    def recall(self, arm: str, label: int) -> Interval:
        """Return an arm's share of right answers over the test samples of a class."""
        return mean_interval(self.hits[arm][:, self.labels == label])

    def gain(self, arm: str) -> Interval:
        """Return by how much an arm exceeds real data alone, in accuracy or in the recall of the cut class."""
        kept = slice(None) if self.rare is None else self.labels == self.rare
        return mean_interval(self.hits[arm][:, kept], self.hits[REAL.name][:, kept])

    def description(self) -> dict[str, object]:
        """Return all intervals as plain data."""
        classes = sorted(set(self.labels.tolist()))
        arms = {
            arm: {
                "accuracy": self.accuracy(arm)._asdict(),
                "recall": {str(label): self.recall(arm, label)._asdict() for label in classes},
                "gain": self.gain(arm)._asdict(),
            }
            for arm in self.hits
        }
        return {"rare": self.rare, "before": self.before, "counts": self.counts, "arms": arms}


def compare_arms(data: Data, synthetic: Split, seeds: int, rare: int | None, few: int) -> list[Case]:
    """Return the comparison on all training data and, where a class is large enough, with one cut to ``few`` samples.

    Args:
        data: With labels; the held-out samples test every arm, which G and the arms have never seen.
        synthetic: Samples of G with their classes.
        seeds: Of the classifiers.
        rare: The class to cut; None for the one that real data teach worst.
        few: Samples that are left of it.
    """
    rows = torch.randperm(len(data.holdout), generator=torch.Generator().manual_seed(0))[:MOST_TEST]
    test, labels = data.holdout.take(rows)
    assert data.train.y is not None
    assert labels is not None
    everything, y = torch.arange(len(data.train)), data.train.y.cpu()
    spec = data.spec
    with WorkProgress("training classifiers", 2 * seeds * len(arms_for(spec))) as progress:
        full = _play(spec, Source(data.train, everything), synthetic, test, labels, seeds, progress)
        if rare is None:
            rare = _worst_class(full, few)
        if rare is None or full.counts[rare] <= few:
            return [full]
        of_class = (y == rare).nonzero()[:, 0]
        dropped = of_class[torch.randperm(len(of_class), generator=torch.Generator().manual_seed(0))[few:]]
        is_kept = torch.ones(len(y), dtype=torch.bool)
        is_kept[dropped] = False
        cut = _play(spec, Source(data.train, everything[is_kept]), synthetic, test, labels, seeds, progress)
    return [full, Case(cut.hits, labels, cut.counts, rare, full.counts[rare])]


def _play(
    spec: Spec,
    real: Source,
    synthetic: Split,
    test: Tensor,
    labels: Tensor,
    seeds: int,
    progress: WorkProgress,
) -> Case:
    fake, hits = Source(synthetic, torch.arange(len(synthetic))), {}
    for arm in arms_for(spec):
        found = []
        for seed in range(seeds):
            found.append(predictions(arm, spec, real, fake, test, seed) == labels)
            progress.advance()
        hits[arm.name] = torch.stack(found)
    return Case(hits, labels, real.labels.bincount(minlength=spec.classes).tolist())


def _worst_class(case: Case, few: int) -> int | None:
    """Return the class of least recall among those with more than twice ``few`` samples; None if there is none."""
    large = [k for k in set(case.labels.tolist()) if case.counts[k] > 2 * few]
    return min(large, key=lambda label: (case.recall(REAL.name, label).value, label), default=None)
