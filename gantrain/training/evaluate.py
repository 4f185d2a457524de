"""Evaluating the metric suite: which metrics a run supports, their tags, values, floors and protocol."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor, nn

from gantrain.config.options import Config
from gantrain.core.estimate import ERROR_SUFFIX, Estimate
from gantrain.core.random import stream
from gantrain.datasets.base import Data, SyntheticPoints
from gantrain.distributed.group import Group, OneProcess
from gantrain.errors import ConfigError
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.tools.floors import floors
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.wrong_conditions import wrong_conditions


@dataclass(frozen=True)
class EvaluationResult:
    """The metrics of one evaluation.

    Attributes:
        estimates: The metrics by tag.
        final_errors: Standard errors of some of them, computed at the end only and not logged.
        floors: The same tags with fresh real samples in place of those of G: the values of a perfect generator.
        protocol: How each metric was computed, by the metric's name.
    """

    estimates: dict[str, Estimate] = field(default_factory=dict)
    final_errors: dict[str, float] = field(default_factory=dict)
    floors: dict[str, Estimate] = field(default_factory=dict)
    protocol: dict[str, dict[str, object]] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """What is logged: plain numbers by tag, and ``<tag>_se`` for a standard error."""
        values: dict[str, float] = {}
        for tag, estimate in self.estimates.items():
            values[tag] = float(estimate)
            if estimate.error is not None:
                values[tag + ERROR_SUFFIX] = estimate.error
        return values

    @property
    def final(self) -> dict[str, Estimate]:
        """The metrics by tag, with their final errors."""
        return {tag: e.with_error(self.final_errors.get(tag, e.error)) for tag, e in self.estimates.items()}

    def description(self) -> dict[str, Any]:
        """Return all of it as plain data, as ``result.json`` has it."""
        return {
            "metrics": self.metrics,
            "errors": {tag: estimate.description() for tag, estimate in self.final.items()},
            "floors": {tag: float(floor) for tag, floor in self.floors.items()},
            "floor_errors": {tag: floor.description() for tag, floor in self.floors.items()},
            "protocol": self.protocol,
        }


def run_spec(config: Config, data: Data | None = None) -> RunSpec:
    """Return what decides which metrics a run supports; without data, as far as its config determines it."""
    # A mixture's density is known from its keys, before any point is sampled.
    if data is not None:
        density = data.density
    else:
        density = config.dataset.density() if isinstance(config.dataset, SyntheticPoints) else None
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
    # A suite may hold metrics for other data; one that holds no metric for these is a mistake.
    if metrics and not supported:
        why = ", ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ConfigError("metric", f"nothing fits this run ({why})", "use metric=fast or metric=none")
    return supported


def expected_tags(config: Config) -> list[str]:
    """Return the tags that charts and tables show of a run, before its data are loaded."""
    # Losses and logits, then the metrics that the config supports.
    objective = config.objective
    tags = ["loss/g"]
    if objective.has_game:
        tags += ["loss/d", "logits/real", "logits/fake"]
    if objective.mismatch_weight > 0:
        tags.append("logits/mismatched")
    if objective.has_game and config.penalty.active:
        tags.append("loss/penalty")
    run = run_spec(config)
    for metric in config.metric.build():
        if why_unsupported(metric, run) is None:
            tags += metric.expected_tags(run)
    return list(dict.fromkeys(tags))


def view(config: Config, data: Data, state: TrainState, runtime: Runtime, n: int | None = None) -> Evaluation:
    """Return the evaluation of a state, on as many samples as the suite has, but at most ``n``."""
    suite = config.metric if n is None else replace(config.metric, n=min(n, config.metric.n))

    # Keyed by seed, step and purpose: evaluating again, or not at all, changes no other random number.
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
        # A D with batch statistics is evaluated on batches of the size that it is trained on.
        batch=config.train.batch_size if config.model.minibatch_std else 0,
        packing=config.model.packing,
        conditional=config.model.is_conditional,
        autocast=runtime.autocast,
        is_averaged=config.train.ema > 0,
    )


@contextmanager
def in_eval(*networks: nn.Module) -> Iterator[None]:
    """Put networks into eval mode inside the block and restore each module's own mode after it."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    # By attribute: ``train(mode)`` of a module would set its children too.
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def evaluation_mode(evaluation: Evaluation) -> Iterator[None]:
    """Inside the block networks are in eval mode, without gradients, in the precision in which they train."""
    networks = in_eval(evaluation.G, evaluation.G_live, evaluation.D)
    with networks, torch.inference_mode(), evaluation.autocast():
        yield


def compute(
    metrics: list[Metric], evaluation: Evaluation, final: bool = False, group: Group | None = None
) -> EvaluationResult:
    """Compute metrics without effect on training; several processes share them out.

    Args:
        metrics: In the order of the result.
        evaluation: The same for all processes.
        final: Whether to compute costly errors and real-against-real floors too.
        group: The processes.
    """
    group = group or OneProcess()
    with evaluation_mode(evaluation):
        own = {metric.name: _reading(metric, evaluation, final) for metric in own_metrics(metrics, group)}
    found = {name: reading for readings in group.exchange(own) for name, reading in readings.items()}
    result = EvaluationResult()
    for name in (metric.name for metric in metrics):
        for kind in ("estimates", "final_errors", "floors"):
            getattr(result, kind).update((tag, Estimate(*plain)) for tag, plain in found[name][kind].items())
        result.protocol[name] = found[name]["protocol"]
    return result


def own_metrics(metrics: list[Metric], group: Group) -> list[Metric]:
    """Return the metrics that this process computes; the leader has those with figures, which it draws."""
    names = [metric.name for metric in metrics if not has_figures(metric)][group.rank :: group.size]
    return [m for m in metrics if (group.is_leader if has_figures(m) else m.name in names)]


def _reading(metric: Metric, evaluation: Evaluation, final: bool) -> dict[str, Any]:
    """Return what one metric computes, as plain data."""
    values = metric(evaluation)
    errors = metric.errors(evaluation) if final else {}
    real = floors(metric, evaluation) if final and metric.has_floor else {}
    # Afterwards, since a protocol may depend on what its metric computed.
    protocol = metric.protocol(evaluation) | {"tags": list(values)}
    if protocol.get("G") == "averaged weights" and not evaluation.is_averaged:
        protocol["G"] = "live weights"
    kinds: dict[str, Mapping[str, float]] = {"estimates": values, "final_errors": errors, "floors": real}
    plain = {kind: {tag: Estimate.of(v).plain() for tag, v in found.items()} for kind, found in kinds.items()}
    return plain | {"protocol": protocol}


def has_figures(metric: Metric) -> bool:
    """Return whether a metric draws figures."""
    return type(metric).figures is not Metric.figures


def draw_figures(
    metric: Metric, evaluation: Evaluation, history: Sequence[Mapping[str, float]]
) -> dict[str, Image]:
    """Return a metric's figures, made in the mode in which it is computed."""
    with evaluation_mode(evaluation):
        return metric.figures(evaluation, history)
