"""The keys that name what a run reads: stored absolute, so that a run may be continued from any folder."""

import os
from collections.abc import Mapping
from typing import Any

DATA_PATHS = ("dataset.root", "dataset.path", "dataset.attributes")
READ_PATHS = (*DATA_PATHS, "train.init_from")


def absolute(path: str) -> str:
    """Return a path as seen from any folder; a blank one, which names nothing, as it is."""
    return os.path.abspath(os.path.expanduser(path)) if path.strip() else path


def with_absolute_paths(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config, as plain data, whose ``READ_PATHS`` are absolute."""
    plain = dict(plain)
    for key in READ_PATHS:
        group, name = key.split(".")
        values = plain.get(group)
        if isinstance(values, Mapping) and isinstance(values.get(name), str):
            plain[group] = {**values, name: absolute(values[name])}
    return plain
