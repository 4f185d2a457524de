"""Measuring what the detectors of health read, without effect on training."""

from collections.abc import Mapping
from functools import cached_property

import torch
from torch import nn

from gantrain.config.options import Config
from gantrain.core.estimate import Estimate
from gantrain.core.gradients import total_norm
from gantrain.datasets.base import Data
from gantrain.metrics.base import Metric
from gantrain.metrics.evaluation import Evaluation
from gantrain.metrics.mismatch import auc, logits_of_pairs
from gantrain.metrics.tools.augmented import augment_samples
from gantrain.tracking.health.signs import (
    effect,
    share_nearer,
    signs_of_average,
    signs_of_data,
    signs_of_logits,
    signs_of_samples,
)
from gantrain.tracking.health.vitals import Subject, Vitals
from gantrain.training.evaluate import evaluation_mode, view
from gantrain.training.evaluation_result import EvaluationResult
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState, build_networks

MAX_SAMPLES = 1000  # training samples whose standard deviation stands for that of all
MAX_NUMBERS = 2**22  # of those samples
SIGN_SAMPLES = 256  # whose signs cost as much as about four steps, and show shares to 0.03
SIGN_NUMBERS = 2**22  # of the images among them
LEAST_STEPS = 50  # of a run whose signs say something
CHECKUPS, LAST_CHECKUP = 20, 5  # in a whole run, and the last of them: later ones are at evaluations alone


class VitalSigns:
    """Measures the vitals of one run: the floors once, the rest at each evaluation."""

    def __init__(self, config: Config, data: Data, metrics: list[Metric], runtime: Runtime):
        self.config, self.data, self.metrics, self.runtime = config, data, metrics, runtime
        self._floors: dict[str, Estimate] | None = None

    @cached_property
    def subject(self) -> Subject:
        """What the detectors know of the run before it trains."""
        data, labels = self.data, self.data.train.y
        n = max(2, min(MAX_SAMPLES, len(data.train), MAX_NUMBERS // data.spec.numel))
        x, y = data.train.take(torch.arange(n))
        counts: list[int] = []
        is_classed = data.spec.classes > 1 and not data.spec.condition
        if labels is not None and is_classed:
            counts = torch.bincount(labels, minlength=data.spec.classes).tolist()
        return Subject(
            config=self.config,
            metrics=tuple(metric.name for metric in self.metrics),
            n_train=len(data.train),
            n=min(self.config.metric.n, len(data.holdout)),
            class_counts=tuple(counts),
            data_std=float(x.flatten(1).var(0, correction=0).mean().sqrt()),
            facts=signs_of_data(x, y if is_classed and not data.spec.channel_classes else None),
        )

    def measure(
        self, state: TrainState, latest: Mapping[str, float], result: EvaluationResult | None = None
    ) -> Vitals:
        """Return the vitals of a state.

        Args:
            state: Left unchanged.
            latest: The latest value of every logged tag.
            result: Its evaluation, in the first with the floors that the detectors read; None for the signs alone.
        """
        result = result or EvaluationResult()
        if self._floors is None and result.estimates:
            self._floors = result.floors
        return Vitals(
            step=state.step,
            steps=self.config.train.estimated_steps(state.step, state.seconds),
            scalars=dict(latest),
            estimates=result.estimates,
            floors=self._floors or {},
            on_training=result.on_training,
            moved=self.distances_from_start(state),
            signs=self.signs(state),
        )

    def is_checkup_due(self, state: TrainState) -> bool:
        """Return whether a log point is the first after another twentieth of the first quarter of the run."""
        train = self.config.train
        if not self.metrics or train.steps < LEAST_STEPS:
            return False
        steps = train.estimated_steps(state.step, state.seconds)
        now, before = (CHECKUPS * step // steps for step in (state.step, state.step - train.log_every))
        return before < now <= LAST_CHECKUP

    def signs(self, state: TrainState, n: int = SIGN_SAMPLES) -> dict[str, float]:
        """Return what at most ``n`` samples show, by name; nothing of a run too short to show anything."""
        config, data = self.config, self.data
        if not self.metrics or config.train.steps < LEAST_STEPS:
            return {}
        n = max(2, min(n, SIGN_NUMBERS // data.spec.numel))
        evaluation = view(config, data, state, self.runtime, n)
        with evaluation_mode(evaluation):
            return signs_of(evaluation)

    @torch.no_grad()
    def distances_from_start(self, state: TrainState) -> dict[str, float]:
        """Return how far the weights of ``g`` and ``d`` are from those of the seed, in norms of the latter.

        The initial weights are drawn again rather than kept: that takes no memory, and a resumed run finds the same.
        """
        G, D = build_networks(self.config, self.data.spec)
        pairs = {"g": (G, state.G, G), "d": (D, state.D, D), "average": (state.G, state.G_ema, G)}
        return {
            name: _distance(start, now) / norm
            for name, (start, now, unit) in pairs.items()
            if (norm := _distance(unit))
        }


def signs_of(evaluation: Evaluation) -> dict[str, float]:
    """Return the signs of an evaluation, called in its mode."""
    game, data = evaluation.game, evaluation.data
    real, y = evaluation.real
    fake = evaluation.generate(game.G_live, y, "evaluate").x
    found = signs_of_samples(fake, real)
    if game.is_averaged:
        found |= signs_of_average(evaluation.generate(game.G, y, "evaluate").x, fake, real)
    train = evaluation.subset(data.train, min(evaluation.n, len(data.train)))
    if game.objective.has_game:
        logits = [evaluation.logits(x, of) for x, of in ((train, train.y), (evaluation.reals, y), (fake, y))]
        found |= signs_of_logits(*logits)
        if all(map(len, logits)):
            found |= {"auc_fake": auc(logits[1], logits[2]), "auc_train": auc(logits[0], logits[1])}
        pairs = logits_of_pairs(evaluation) if evaluation.conditional else None
        if pairs is not None:
            found |= {"auc_wrong": auc(*pairs), "condition_effect": effect(*pairs)}
    if game.augment.active and data.spec.is_image:
        generator = torch.Generator().manual_seed(evaluation.seed)
        seen = augment_samples(game.augment, train.x, generator, game.augment_memory)
        found |= {"leak": share_nearer(fake, seen, train.x), "real_leak": share_nearer(real, seen, train.x)}
    return found


def _distance(network: nn.Module, other: nn.Module | None = None) -> float:
    """Return the norm of a network's trainable weights, or of what those of another one of its kind differ by."""
    kept = [i for i, p in enumerate(network.parameters()) if p.requires_grad]
    weights, others = (
        [p.detach().cpu() for i, p in enumerate(one.parameters()) if i in kept] if one else []
        for one in (network, other)
    )
    difference = torch._foreach_sub(weights, others) if others else weights
    return float(total_norm(list(difference))) if kept else 0.0
