"""The best state of a run so far by one of its metrics: ``train.keep_best``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gantrain.config.options import Config
from gantrain.core.directions import direction, is_of_own_d
from gantrain.core.suggestions import did_you_mean, nearest
from gantrain.datasets.base import Data
from gantrain.errors import ConfigError
from gantrain.metrics.base import EVAL_D
from gantrain.registry import REGISTERED
from gantrain.training.evaluate import (
    compute,
    expected_tags,
    run_spec,
    supported_metrics,
    view,
    why_unsupported,
)
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

KEY = "train.keep_best"


class BestSoFar:
    """The step of the best value of a tag among the evaluations so far; of equal values the earliest."""

    def __init__(self, tag: str | None):
        self._tag, self._found = tag or "", dict[str, Any]()

    @property
    def step(self) -> int | None:
        """The step of the best value; None before the first finite one."""
        return self._found.get("step")

    def load(self, found: Mapping[str, Any]) -> None:
        """Go on from ``plain`` of a checkpoint, unless that is of another tag."""
        self._found = dict(found) if found.get("tag") == self._tag else {}

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Compare the metrics of an evaluation; a value that is missing or not finite is never the best."""
        known, value = direction(self._tag), metrics.get(self._tag, math.nan)
        if known is None or not math.isfinite(value):
            return
        if not self._found or known.cost(value) < known.cost(self._found["value"]):
            self._found = {"tag": self._tag, "step": step, "value": float(value)}

    def plain(self) -> dict[str, Any]:
        """Return ``tag``, ``step`` and ``value`` of the best one as plain data; {} for none."""
        return dict(self._found)


def check_keep_best(config: Config, data: Data) -> None:
    """Check that the run evaluates the tag of ``train.keep_best``, and that it is known which values are better.

    Raises:
        ConfigError: With the tags that can stand in its place.
    """
    tag = config.train.keep_best
    if tag is None:
        return
    known = expected_tags(config)
    if tag not in known:  # some metrics know their tags only once they have the data
        known += measured_tags(config, data)
    of_own_d = {one for one in known if is_of_own_d(one)} | _tags_of_own_d(config, data)
    legal = [one for one in dict.fromkeys(known) if direction(one) and one not in of_own_d]
    if tag in legal:
        return
    choices = (
        f"choose from {', '.join(legal)}" if legal else "choose a suite of other metrics, as metric=compare"
    )
    if tag in of_own_d:
        what = f"{tag} is a number of the run's own D, which judges no generator"
        raise ConfigError(KEY, what, choices)
    if tag in known:
        raise ConfigError(KEY, f"it is not known which values of {tag} are better", choices)
    others = [metric() for metric in REGISTERED["metric"].values() if tag in metric.tags]
    suites = [f"metric={one.name}" for one in others if not why_unsupported(one, run_spec(config, data))]
    remedy = f"use {suites[0]}, or {choices}" if suites else did_you_mean(nearest(tag, legal)) or choices
    raise ConfigError(KEY, f"this run does not evaluate {tag}", remedy)


def measured_tags(config: Config, data: Data) -> list[str]:
    """Return the tags that a run evaluates, by evaluating untrained networks. Raises ConfigError."""
    runtime = Runtime(config.device)
    with runtime.settings():
        state = TrainState.create(config, data.spec, runtime)
        return list(compute(supported_metrics(config, data), view(config, data, state, runtime)).estimates)


def _tags_of_own_d(config: Config, data: Data) -> set[str]:
    run, found = run_spec(config, data), list[Sequence[str]]()
    for metric in supported_metrics(config, data):
        if metric.shared_protocol.get("D") == EVAL_D["D"]:
            found.append(metric.expected_tags(run))
    return {tag for tags in found for tag in tags}
