"""Evaluating the metric suite: which metrics a run supports, their values, their floors and their protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from PIL.Image import Image
from torch import Tensor, nn

from gantrain.config.options import Config
from gantrain.core.random import stream
from gantrain.datasets.base import Data, SyntheticPoints
from gantrain.errors import ConfigError
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.training.device import Runtime
from gantrain.training.losses import wrong_conditions
from gantrain.training.state import TrainState


@dataclass(frozen=True)
class EvaluationResult:
    """The metrics of one evaluation.

    Attributes:
        metrics: Value by tag.
        floors: The same tags with training data in the place of samples: the values of a perfect generator.
        protocol: How each metric was computed, by the metric's name.
    """

    metrics: dict[str, float]
    floors: dict[str, float]
    protocol: dict[str, dict[str, object]]


def run_spec(config: Config, data: Data | None = None) -> RunSpec:
    """Return what decides which metrics a run supports; without data, as far as its config tells."""
    density = None if data is None else data.density
    if data is None and isinstance(config.dataset, SyntheticPoints):
        density = config.dataset.density()
    return RunSpec(
        spec=config.spec if data is None else data.spec,
        objective=config.objective,
        conditional=config.model.is_conditional,
        couples_samples=config.model.couples_samples,
        tractable=config.model.tractable,
        density=density,
        data=data,
    )


def why_unsupported(metric: Metric, run: RunSpec) -> str | None:
    """Return why a metric cannot be computed for a run, or None when it can."""
    if metric.needs_d and not run.objective.has_game:
        return "this objective trains no D"
    return metric.why_unsupported(run)


def supported_metrics(config: Config, data: Data) -> list[Metric]:
    """Return the suite's metrics that the data and the model support.

    Raises:
        ConfigError: When the suite names metrics and none of them is supported, with the reasons.
    """
    run, metrics = run_spec(config, data), config.metric.build()
    reasons = {metric.name: why_unsupported(metric, run) for metric in metrics}
    supported = [metric for metric in metrics if reasons[metric.name] is None]
    if metrics and not supported:
        why = ", ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ConfigError("metric", f"nothing fits this run ({why})", "use metric=fast or metric=none")
    return supported


def view(config: Config, data: Data, state: TrainState, runtime: Runtime, n: int | None = None) -> Evaluation:
    """Return the evaluation of a state, on ``n`` samples or as many as the suite says."""
    suite = config.metric
    if n is not None:
        suite = replace(suite, n=min(n, suite.n))

    def latents(count: int, purpose: str) -> Tensor:
        return state.G.latents(count, stream(config.seed, state.step, purpose))

    def wrong(y: Tensor) -> Tensor | None:
        return wrong_conditions(y, data.spec.classes, stream(config.seed, state.step, "evaluate wrong"))

    return Evaluation(
        data=data,
        G=state.G_ema,
        G_live=state.G,
        D=state.D,
        objective=config.objective,
        latents=latents,
        suite=suite,
        device=runtime.device,
        seed=config.seed,
        wrong=wrong,
        undo=config.noise.undo,
        batch=min(config.train.batch_size, len(data.holdout)) if config.model.couples_samples else 0,
        conditional=config.model.is_conditional,
        autocast=runtime.autocast,
    )


@contextmanager
def in_eval(*networks: nn.Module) -> Iterator[None]:
    """Put networks into eval mode inside the block and restore each module's own mode after it."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def evaluation_mode(evaluation: Evaluation) -> Iterator[None]:
    """Leave training undisturbed inside the block: eval mode, no gradients; networks run as precisely as they train."""
    networks = in_eval(evaluation.G, evaluation.G_live, evaluation.D)
    with networks, torch.inference_mode(), evaluation.autocast():
        yield


def compute(metrics: list[Metric], evaluation: Evaluation, floors: bool = False) -> EvaluationResult:
    """Compute metrics without disturbing training, with their own randomness.

    Args:
        metrics: Of ``supported_metrics``.
        evaluation: Of ``view``.
        floors: Whether to compute the real-against-real floors too.
    """
    values: dict[str, float] = {}
    floor_values: dict[str, float] = {}
    with evaluation_mode(evaluation):
        for metric in metrics:
            values |= metric(evaluation)
            if floors and metric.has_floor:
                floor_values |= metric(evaluation.of_real())
        protocol = {metric.name: metric.protocol(evaluation) for metric in metrics}
    return EvaluationResult(values, floor_values, protocol)


def draw_figures(
    metric: Metric, evaluation: Evaluation, history: Sequence[Mapping[str, float]]
) -> dict[str, Image]:
    """Return a metric's figures, drawn in the mode in which it is computed."""
    with evaluation_mode(evaluation):
        return metric.figures(evaluation, history)
