"""Measuring what the health rules read, without effect on training."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor, nn

from gantrain.config.options import Config
from gantrain.core.estimate import Estimate
from gantrain.core.gradients import total_norm
from gantrain.datasets.base import Data
from gantrain.metrics.base import Evaluation, Metric
from gantrain.metrics.js import JS
from gantrain.metrics.tools.floors import floors
from gantrain.tracking.health.case import READ
from gantrain.tracking.health.vitals import Subject, Vitals
from gantrain.training.evaluate import evaluation_mode
from gantrain.training.state import TrainState, build_networks

MAX_SAMPLES = 1000  # training samples whose standard deviation stands for that of all


class VitalSigns:
    """Measures the vitals of one run: the floors once, the rest at each evaluation."""

    def __init__(self, config: Config, data: Data, metrics: list[Metric]):
        self.config, self.data, self.metrics = config, data, metrics
        self._floors: dict[str, Estimate] | None = None

    @cached_property
    def subject(self) -> Subject:
        """What the rules know of the run before it trains."""
        data, labels = self.data, self.data.train.y
        x, _ = data.train.take(torch.arange(min(MAX_SAMPLES, len(data.train))))
        counts: list[int] = []
        if labels is not None and data.spec.classes > 1 and not data.spec.condition:
            counts = torch.bincount(labels, minlength=data.spec.classes).tolist()
        return Subject(
            config=self.config,
            metrics=tuple(metric.name for metric in self.metrics),
            n_train=len(data.train),
            n=min(self.config.metric.n, len(data.holdout)),
            class_counts=tuple(counts),
            data_std=float(x.flatten(1).var(0, correction=0).mean().sqrt()),
        )

    def measure(
        self,
        state: TrainState,
        evaluation: Evaluation,
        estimates: Mapping[str, Estimate],
        latest: Mapping[str, float],
    ) -> Vitals:
        """Return the vitals of a state.

        Args:
            state: Left unchanged.
            evaluation: Of this state.
            estimates: What the metrics found in it.
            latest: The latest value of every logged tag.
        """
        with evaluation_mode(evaluation):
            if self._floors is None:
                self._floors = self.floors(evaluation)
            on_training = self.on_training(evaluation)
        return Vitals(
            step=state.step,
            steps=self.config.train.estimated_steps(state.step, state.seconds),
            scalars=dict(latest),
            estimates=estimates,
            floors=self._floors,
            on_training=on_training,
            moved=self.distances_from_start(state),
        )

    def floors(self, evaluation: Evaluation) -> dict[str, Estimate]:
        """Return what real data have, for the tags that a rule compares with it."""
        found: dict[str, Estimate] = {}
        for metric in self.metrics:
            if metric.has_floor and READ.intersection(metric.tags):
                found.update(floors(metric, evaluation))
        return found

    def on_training(self, evaluation: Evaluation) -> dict[str, Estimate]:
        """Return D's own estimates on training data in place of held-out data, against the same samples."""
        js = next((metric for metric in self.metrics if isinstance(metric, JS)), None)
        if js is None:
            return {}
        seen = replace(evaluation, data=replace(self.data, holdout=self.data.train))
        return {tag: Estimate.of(value) for tag, value in js(seen).items()}

    @torch.no_grad()
    def distances_from_start(self, state: TrainState) -> dict[str, float]:
        """Return how far the weights of ``g`` and ``d`` are from those of the seed, in norms of the latter.

        The initial weights are drawn again rather than kept: that takes no memory, and a resumed run finds the same.
        """
        moved: dict[str, float] = {}
        initial = build_networks(self.config, self.data.spec)
        for name, start, now in zip("gd", initial, (state.G, state.D), strict=True):
            before, after = _weights(start), _weights(now)
            if before and (norm := float(total_norm(before))):
                moved[name] = float(total_norm(list(torch._foreach_sub(after, before)))) / norm
        return moved


def _weights(network: nn.Module) -> list[Tensor]:
    return [p.detach().cpu() for p in network.parameters() if p.requires_grad]
