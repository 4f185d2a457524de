"""The machine and this process: cores, processor, devices, signals, logging."""

from __future__ import annotations

import logging
import platform
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gantrain.errors import ConfigError

if TYPE_CHECKING:
    import torch

log = logging.getLogger("gantrain")


@contextmanager
def mute_logging(level: int) -> Iterator[None]:
    """Drop the log records of all loggers up to a level of ``logging``."""
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(before)


def usable_cores() -> int:
    """Return the number of CPU cores that the affinity and the container's quota allow this process."""
    import joblib  # which knows cgroups; os.cpu_count is that of the machine

    return int(joblib.cpu_count())


def processor_name() -> str:
    """Return the model of the processor, or its architecture where the system does not know it."""
    with suppress(OSError):
        if model := re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
            return model[1]
    return platform.processor() or platform.machine()


SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def handle_signals(handler: Callable[[int], None]) -> Iterator[None]:
    """Call ``handler`` with the number of each signal that would end the process; its exceptions propagate."""
    try:
        before = {number: signal.signal(number, lambda number, _: handler(number)) for number in SIGNALS}
    except ValueError:  # only the main thread may set handlers; a notebook may train in another
        before = {}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def available_devices() -> list[str]:
    """Return the available kinds of device, fastest first: cuda, mps, cpu."""
    import torch

    kinds = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)]
    return [kind for kind, present in kinds if present]


def resolve_device(kind: str, index: int = 0) -> torch.device:
    """Return the device of a kind, or with ``auto`` the best available.

    Args:
        kind: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        index: Which of several GPUs.

    Raises:
        ConfigError: When it is not available; no other device takes its place.
    """
    import torch

    available = available_devices()
    kind = available[0] if kind == "auto" else kind
    if kind not in available:
        remedy = f"choose from auto, {', '.join(available)}"
        raise ConfigError("device", f"{kind} is not on this machine", remedy)
    # Only CUDA numbers its devices.
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if index >= count:
        what = f"there is no {kind} device {index}"
        raise ConfigError("device.index", what, f"give 0 to {count - 1}, or leave it out")
    return torch.device(kind, index) if kind == "cuda" else torch.device(kind)
