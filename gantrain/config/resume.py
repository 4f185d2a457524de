"""The keys that may differ between a run and its continuation."""

from collections.abc import Mapping
from typing import Any

from gantrain.config.paths import DATA_PATHS, with_absolute_paths

BUDGETS = ("images", "seconds", "minutes")  # keys that take the place of train.steps
# None of them changes what the steps before the checkpoint computed.
RESUMABLE_KEYS = (
    "train.steps",
    *(f"train.{key}" for key in BUDGETS),
    "train.log_every",
    "train.sample_every",
    "train.evaluate_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.keep_best",
    "optimizer.horizon",
    *DATA_PATHS,
    "dataset.allow_changed",
    "device.kind",
    "device.index",
    "device.threads",
    "device.compile",
    "device.precision",
    "device.deterministic",
    "device.memory_fraction",
    "device.processes",
    "device.timeout",
)


def conflicting_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the keys whose change makes ``now`` another run than ``before``, both resolved configs as plain data."""
    keys, before = [], with_absolute_paths(before)
    for group, value in now.items():
        old = before.get(group)
        if group in ("run", "name"):  # where a run writes, and what it is called
            continue
        if not isinstance(value, Mapping) or not isinstance(old, Mapping):
            keys += [group] if old != value else []
        else:
            # A run from before a metric was registered lacks the group of the metric's own keys.
            shared = [key for key in value if key in old or not isinstance(value[key], Mapping)]
            keys += [f"{group}.{key}" for key in shared if old.get(key) != value[key]]
    return [key for key in keys if key not in RESUMABLE_KEYS]
