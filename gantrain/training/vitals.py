"""Measuring what the health rules read, without effect on training."""

from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor, nn

from gantrain.config.options import Config
from gantrain.core.estimate import Estimate
from gantrain.core.gradients import total_norm
from gantrain.datasets.base import Data
from gantrain.metrics.base import Metric
from gantrain.tracking.health.vitals import Subject, Vitals
from gantrain.training.evaluation_result import EvaluationResult
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

    def measure(self, state: TrainState, result: EvaluationResult, latest: Mapping[str, float]) -> Vitals:
        """Return the vitals of a state.

        Args:
            state: Left unchanged.
            result: Its evaluation, in the first with the floors that the rules read.
            latest: The latest value of every logged tag.
        """
        if self._floors is None:
            self._floors = result.floors
        return Vitals(
            step=state.step,
            steps=self.config.train.estimated_steps(state.step, state.seconds),
            scalars=dict(latest),
            estimates=result.estimates,
            floors=self._floors,
            on_training=result.on_training,
            moved=self.distances_from_start(state),
        )

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
