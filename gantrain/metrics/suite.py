"""The suite: which metrics are computed, their protocol, and the keys that metrics declare."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, make_dataclass
from typing import Any, get_type_hints

from gantrain.errors import ConfigError
from gantrain.registry import REGISTERED, build, option


@dataclass
class Suite:
    """Which metrics are computed, and their protocol."""

    names: list[str] = option([], "metrics to compute; those that the data do not support are left out")
    n: int = option(
        1000,
        "generated and held-out samples to compare, at most as many as are held out",
        minimum=2,
        maximum=10_000_000,
    )
    published: dict[str, float] = option(
        {}, "published values by tag, shown next to the mean of the last fifth of the run"
    )
    k: int = option(5, "number of nearest neighbours, for precision, recall, density and coverage", minimum=1)
    title: str = option("", "title of the figures that have one; the objective's name if empty")
    refit_steps: int = option(1000, "updates of the fresh discriminator of metric refit", minimum=1)

    def build(self) -> list[Any]:
        """Return the metrics that ``names`` lists, each with its own keys."""
        own = {name: asdict(getattr(self, name)) for name in self.names if hasattr(self, name)}
        return [build("metric", {"name": name, **own.get(name, {})}) for name in self.names]

    @classmethod
    def complete(cls) -> type[Suite]:
        """Return the class with ``<name>.<key>`` for each key of each registered metric that declares some."""
        return _suite_class(tuple(REGISTERED["metric"].items()))


@functools.cache
def _suite_class(metrics: tuple[tuple[str, type], ...]) -> type[Suite]:
    # One nested dataclass a metric that has keys; ``name`` is none of them, since it names the group.
    groups = []
    for metric, cls in metrics:
        own = [f for f in fields(cls) if f.name != "name"]
        if own and hasattr(Suite, metric):
            raise ConfigError("metric", f"{metric} has keys, and the suite has a key {metric}", "rename it")
        if own:
            types = get_type_hints(cls)
            # make_dataclass writes into the fields that it gets, so it gets copies.
            keys = [(f.name, types[f.name], copy.copy(f)) for f in own]
            group = make_dataclass(f"{cls.__name__}Keys", keys)
            groups.append((metric, group, field(default_factory=group)))
    if not groups:
        return Suite
    # A sweep's processes get the class itself, for want of a module that has it under this name.
    return make_dataclass("Suite", groups, bases=(Suite,), namespace={"__module__": __name__})


def full_suite() -> list[str]:
    """Return the names of ``metric=full``: every registered metric but those that demonstrate a point of theory."""
    return [name for name, cls in REGISTERED["metric"].items() if not cls.is_demonstration]


def without_absent_metrics(plain: Any) -> Any:
    """Return a suite's plain data without the keys of metrics that are neither registered nor used by it."""
    if not isinstance(plain, Mapping):
        return plain
    known = {f.name for f in fields(Suite.complete())} | set(plain.get("names") or ())
    return {key: value for key, value in plain.items() if key in known or not isinstance(value, Mapping)}
