"""Evaluating the metric suite: which metrics a run supports, their tags, values, floors and protocol."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import torch
from PIL.Image import Image
from torch import Tensor, nn

from gantrain.config.moving import present, ramps
from gantrain.config.options import Config
from gantrain.core.estimate import Estimate
from gantrain.core.memory import memory_of
from gantrain.core.random import stream
from gantrain.datasets.base import Data, SyntheticPoints
from gantrain.distributed.group import Group, OneProcess
from gantrain.errors import ConfigError
from gantrain.features.base import tag_suffix
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.game import Game
from gantrain.metrics.js import JS
from gantrain.metrics.suite import Suite
from gantrain.metrics.tools.floors import floors
from gantrain.training.costs import PENALTIES
from gantrain.training.evaluation_result import EvaluationResult
from gantrain.training.play import AUGMENT, active_costs
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.wrong_conditions import wrong_conditions

T = TypeVar("T")


def run_spec(config: Config, data: Data | None = None) -> RunSpec:
    """Return what decides which metrics a run supports; without data, as far as its config determines it."""
    # A mixture's density is known from its keys, before any point is sampled.
    known = config.dataset.density() if isinstance(config.dataset, SyntheticPoints) else None
    density = known if data is None else data.density
    return RunSpec(
        spec=config.spec if data is None else data.spec,
        objective=config.objective,
        conditional=config.model.is_conditional,
        couples_samples=config.model.couples_samples,
        tractable=config.model.tractable,
        z_dim=0 if config.model.source == "dropout" else config.model.z_dim,
        density=density,
        data=data,
        features=config.features,
        augment=config.augment,
        n=config.metric.n if data is None else min(config.metric.n, len(data.holdout)),
    )


def why_unsupported(metric: Metric, run: RunSpec) -> str | None:
    """Return why a metric cannot be computed for a run, or None when it can."""
    if run.objective is None and (metric.needs_game or metric.needs_d):
        return "these are samples without the networks of a run"
    if metric.needs_d and run.objective is not None and not run.objective.has_game:
        return "this objective trains no D"
    return metric.why_unsupported(run)


def supported_metrics(config: Config, data: Data) -> list[Metric]:
    """Return the suite's metrics that a run and its data support. Raises as ``select_metrics``."""
    return select_metrics(config.metric, run_spec(config, data))


def select_metrics(suite: Suite, run: RunSpec) -> list[Metric]:
    """Return the suite's metrics that a run supports, or samples without one.

    Raises:
        ConfigError: When the suite names metrics and none of them is supported, with the reasons.
    """
    metrics = suite.build()
    reasons = {metric.name: why_unsupported(metric, run) for metric in metrics}
    supported = [metric for metric in metrics if reasons[metric.name] is None]
    # A suite may hold metrics for other data; one that holds no metric for these is a mistake.
    if metrics and not supported:
        why = ", ".join(f"{name}: {reason}" for name, reason in reasons.items())
        what, suites = ("this run", "fast or metric=none") if run.objective else ("these samples", "samples")
        raise ConfigError("metric", f"nothing fits {what} ({why})", f"use metric={suites}")
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
    players = {one.player for one in active_costs(config.penalty).values()} if objective.has_game else ()
    tags += [tag for tag, player in zip(PENALTIES, "dg", strict=True) if player in players]
    run = run_spec(config)
    for metric in config.metric.build():
        if why_unsupported(metric, run) is None:
            suffix = tag_suffix(config.features, config.spec) if metric.reads_features else ""
            tags += [tag + suffix for tag in metric.expected_tags(run)]
    return list(dict.fromkeys(tags))


def view(config: Config, data: Data, state: TrainState, runtime: Runtime, n: int | None = None) -> Evaluation:
    """Return the evaluation of a state, on as many samples as the suite has, but at most ``n``."""
    suite = config.metric if n is None else replace(config.metric, n=min(n, config.metric.n))

    # Keyed by seed, step and purpose: evaluating again, or not at all, changes no other random number.
    def latents(count: int, purpose: str) -> Tensor:
        return state.G.latents(count, stream(config.seed, state.step, purpose))

    def wrong(y: Tensor) -> Tensor | None:
        return wrong_conditions(y, data.spec.classes, stream(config.seed, state.step, "evaluate wrong"))

    game = Game(
        G=state.G_ema,
        G_live=state.G,
        D=state.D,
        objective=config.objective,
        latents=latents,
        wrong=wrong,
        undo=config.noise.undo,
        # A D with batch statistics is evaluated on batches of the size that it is trained on.
        batch=config.train.batch_size if config.model.d_batch_keys else 0,
        packing=config.model.packing,
        autocast=runtime.autocast,
        augment=present(ramps(config), "augment", config.augment, state.step),
        augment_memory=memory_of(AUGMENT, state.memory),
        is_averaged=config.train.ema > 0,
    )
    return Evaluation(
        data,
        suite,
        runtime.device,
        config.seed,
        game,
        config.model.is_conditional,
        is_balanced=config.train.balance,
        feature_source=config.features,
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
    with torch.inference_mode(), ExitStack() as stack:
        if game := evaluation.players:
            stack.enter_context(in_eval(game.G, game.G_live, game.D))
            stack.enter_context(game.autocast())
        yield


def compute(
    metrics: list[Metric],
    evaluation: Evaluation,
    final: bool = False,
    group: Group | None = None,
    floors_of: Collection[str] = (),
    on_training: Evaluation | None = None,
) -> EvaluationResult:
    """Compute metrics without effect on training.

    Args:
        metrics: In the order of the result.
        evaluation: Of all of them.
        final: Whether to compute costly errors, and the real-against-real floors of all metrics.
        group: The processes that share the work, with equal arguments.
        floors_of: Names of metrics whose floors are computed in any case.
        on_training: The same of training data, for D's own estimates on them; None where they are not wanted.
    """
    group = group or OneProcess()
    wanted = [m for m in metrics if m.has_floor and (final or m.name in floors_of)]
    # D's own divergence is the costliest as a rule: its two readings go to two processes.
    tasks: list[tuple[Metric, Evaluation, bool]] = []
    tasks += [(m, on_training, False) for m in metrics if on_training and isinstance(m, JS)]
    before = len(tasks)
    tasks += [(metric, evaluation, final) for metric in metrics]
    with evaluation_mode(evaluation):
        readings = share_out(group, tasks, lambda task: _reading(*task))
        of_real = [floors(metric, evaluation, partial(share_out, group)) for metric in wanted]
    result = EvaluationResult()
    for reading in readings[:before]:
        result.on_training.update(_estimates(reading["values"]))
    for metric, reading in zip(metrics, readings[before:], strict=True):
        result.estimates.update(_estimates(reading["values"]))
        result.final_errors.update(_estimates(reading["errors"]))
        result.protocol[metric.name] = reading["protocol"]
    for metric, floor in zip(wanted, of_real, strict=True):
        result.floors.update(_with_suffix(metric, evaluation, floor))
    return result


def _reading(metric: Metric, evaluation: Evaluation, final: bool) -> dict[str, Any]:
    """Return what one metric computes, as plain data."""
    values = _with_suffix(metric, evaluation, metric(evaluation))
    errors = _with_suffix(metric, evaluation, metric.errors(evaluation)) if final else {}
    # Afterwards, since a protocol may depend on what its metric computed.
    protocol = evaluation.with_circumstances(metric.protocol(evaluation)) | {"tags": list(values)}
    return {"values": _plain(values), "errors": _plain(errors), "protocol": protocol}


def _with_suffix(metric: Metric, evaluation: Evaluation, values: Mapping[str, T]) -> dict[str, T]:
    suffix = evaluation.tag_suffix if metric.reads_features else ""
    return {tag + suffix: value for tag, value in values.items()}


def _plain(values: Mapping[str, float]) -> dict[str, Any]:
    return {tag: Estimate.of(value).plain() for tag, value in values.items()}


def _estimates(plain: Mapping[str, Any]) -> dict[str, Estimate]:
    return {tag: Estimate(*arguments) for tag, arguments in plain.items()}


def share_out(group: Group, items: Iterable[T], work: Callable[[T], Any]) -> list[Any]:
    """Return ``work`` of each item, plain data; each process does every n-th item and receives the others."""
    of_ranks = group.exchange([work(item) for item in islice(items, group.rank, None, group.size)])
    return [of_rank[i] for i in range(len(of_ranks[0])) for of_rank in of_ranks if i < len(of_rank)]


def has_figures(metric: Metric) -> bool:
    """Return whether a metric draws figures."""
    return type(metric).figures is not Metric.figures


def draw_figures(
    metric: Metric, evaluation: Evaluation, history: Sequence[Mapping[str, float]]
) -> dict[str, Image]:
    """Return a metric's figures, made in the mode in which it is computed."""
    with evaluation_mode(evaluation):
        return metric.figures(evaluation, history)
