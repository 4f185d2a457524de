"""Train Generative Adversarial Networks, and measure the divergence that each discriminator estimates."""

import gantrain.core.import_path  # noqa: F401, before a file of the working folder could stand in for any module

# isort: split
from typing import TYPE_CHECKING, Any

from gantrain.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Diverged,
    GantrainError,
    Interrupted,
    OutputError,
    ProcessLost,
    Pruned,
)

if TYPE_CHECKING:
    from gantrain.api import Run as Run
    from gantrain.api import load as load
    from gantrain.api import train as train
    from gantrain.verdicts.thermometer.watch import watch as watch

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Diverged",
    "GantrainError",
    "Interrupted",
    "OutputError",
    "ProcessLost",
    "Pruned",
    "Run",
    "load",
    "train",
    "watch",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import ``load``, ``train``, ``watch`` or ``Run`` and torch on first use: ``gantrain --help`` needs none."""
    if name in ("Run", "load", "train"):
        from gantrain import api

        return globals().setdefault(name, getattr(api, name))
    if name == "watch":
        from gantrain.verdicts.thermometer.watch import watch

        return globals().setdefault(name, watch)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names of the package, including ``load``, ``train``, ``watch`` and ``Run``."""
    return sorted({*globals(), *__all__})
