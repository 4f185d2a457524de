"""What is known of a run's health: facts that last, and what one evaluation measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gantrain.config.options import Config
from gantrain.core.estimate import Estimate


@dataclass(frozen=True)
class Subject:
    """A run and its data, as far as they do not change.

    Attributes:
        config: The run.
        metrics: Names of the metrics that it computes.
        n_train: Training samples.
        n: Held-out samples at an evaluation, and as many generated ones.
        class_counts: Training samples of each class; empty without classes.
        data_std: Root of the training data's mean variance over coordinates or pixels, in the data's unit.
        facts: What training samples show of themselves, of ``signs_of_data``.
    """

    config: Config
    metrics: tuple[str, ...]
    n_train: int
    n: int
    class_counts: tuple[int, ...] = ()
    data_std: float = 1.0
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Vitals:
    """One evaluation.

    Attributes:
        step: Finished steps.
        steps: Length of the run, or what it is estimated to be.
        scalars: The latest value of every logged tag.
        estimates: The metrics by tag, with their errors.
        floors: The same of real data in place of samples.
        on_training: D's estimates, as in ``estimates``, on training data in place of held-out data.
        moved: How far the weights of ``g`` and ``d`` are from the initial ones, in norms of the initial ones; and how
            far the ``average`` of G's weights is from these.
        signs: What some hundred samples show, of ``gantrain.tracking.health.signs``.
    """

    step: int
    steps: int
    scalars: Mapping[str, float] = field(default_factory=dict)
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    floors: Mapping[str, Estimate] = field(default_factory=dict)
    on_training: Mapping[str, Estimate] = field(default_factory=dict)
    moved: Mapping[str, float] = field(default_factory=dict)
    signs: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_evaluation(self) -> bool:
        """Whether there are metrics, and not the cheap signs alone."""
        return bool(self.estimates)
