"""gantrain trains Generative Adversarial Networks and names the divergence each of them estimates."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gantrain.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Diverged,
    GantrainError,
    Interrupted,
    OutputError,
    Pruned,
)

if TYPE_CHECKING:
    from gantrain.api import Plugins, Run

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Diverged",
    "GantrainError",
    "Interrupted",
    "OutputError",
    "Pruned",
    "load",
    "train",
]
__version__ = "0.1.0"


def load(run: str | os.PathLike[str], device: str = "cpu", plugins: Plugins = ()) -> Run:
    """Return a run by its folder or a checkpoint in it; see ``gantrain.api.load``."""
    from gantrain import api

    return api.load(run, device, plugins)


def train(overrides: Sequence[str] = (), plugins: Plugins = ()) -> Run:
    """Train one run in this process and return it; see ``gantrain.api.train``."""
    from gantrain import api

    return api.train(overrides, plugins)
