"""Reading the metric suite: which metrics fit, their numbers, their floors and how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from PIL.Image import Image
from torch import Tensor, nn

from gantrain.config.options import Config
from gantrain.core.random import stream
from gantrain.datasets.base import Data
from gantrain.errors import ConfigError
from gantrain.metrics.base import Evaluation, Metric
from gantrain.registry import build
from gantrain.training.device import Runtime
from gantrain.training.losses import wrong_conditions
from gantrain.training.state import TrainState


@dataclass(frozen=True)
class Reading:
    """What one evaluation found.

    Attributes:
        metrics: Value by tag.
        floors: The same tags with training data in the place of samples: what a perfect generator would read.
        protocol: How each metric was made, by the metric's name.
    """

    metrics: dict[str, float]
    floors: dict[str, float]
    protocol: dict[str, dict[str, object]]


def fitting(config: Config, data: Data) -> list[Metric]:
    """Return the suite's metrics that fit the data and model.

    Raises:
        ConfigError: When metrics were asked for and none of them fits, with the reasons.
    """
    conditional = config.model.is_conditional
    metrics = [build("metric", {"name": name}) for name in config.metric.names]
    idle = None if config.objective.has_game else "this objective trains no D"
    reasons = {m.name: (idle if m.needs_d else None) or m.fits(data, conditional) for m in metrics}
    fit = [metric for metric in metrics if reasons[metric.name] is None]
    if metrics and not fit:
        why = ", ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ConfigError("metric", f"nothing fits this run ({why})", "use metric=fast or metric=none")
    return fit


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
def looked_at(evaluation: Evaluation) -> Iterator[None]:
    """Leave training undisturbed inside the block: eval mode, no gradients; networks run as precisely as they train."""
    players = in_eval(evaluation.G, evaluation.G_live, evaluation.D)
    with players, torch.inference_mode(), evaluation.autocast():
        yield


def read(metrics: list[Metric], evaluation: Evaluation, floors: bool = False) -> Reading:
    """Read metrics without disturbing training, with their own randomness.

    Args:
        metrics: What ``fitting`` gives.
        evaluation: What ``view`` gives.
        floors: Whether to read the real-against-real floors too.
    """
    values: dict[str, float] = {}
    lowest: dict[str, float] = {}
    with looked_at(evaluation):
        for metric in metrics:
            values |= metric(evaluation)
            if floors and metric.floored:
                lowest |= metric(evaluation.of_real())
        protocol = {metric.name: metric.protocol(evaluation) for metric in metrics}
    return Reading(values, lowest, protocol)


def drawn(metric: Metric, evaluation: Evaluation, history: Sequence[Mapping[str, float]]) -> dict[str, Image]:
    """Return a metric's figures, made as it is read."""
    with looked_at(evaluation):
        return metric.figures(evaluation, history)
