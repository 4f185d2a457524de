"""The machine and this process: cores, processor, devices, signals, logging."""

from __future__ import annotations

import logging
import platform
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gantrain.errors import ConfigError

if TYPE_CHECKING:
    import torch

log = logging.getLogger("gantrain")


@contextmanager
def mute_logging(level: int) -> Iterator[None]:
    """Drop every log record up to a level of ``logging``, of any logger."""
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(before)


def usable_cores() -> int:
    """Return how many CPU cores this process may use by its affinity and its container's quota, at least one."""
    import joblib

    return int(joblib.cpu_count())


def processor_name() -> str:
    """Return the model of the processor, as far as the system knows it."""
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def handle_signals(handler: Callable[[int], None]) -> Iterator[None]:
    """Call ``handler`` with the number of each signal that ends a process; what it raises is raised."""
    try:
        before = {number: signal.signal(number, lambda number, _: handler(number)) for number in SIGNALS}
    except ValueError:  # signals belong to the main thread; a notebook may train in another
        before = {}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def available_devices() -> list[str]:
    """Return the kinds of device that this machine has, best first: cuda, mps, cpu."""
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

    here = available_devices()
    found = here[0] if kind == "auto" else kind
    if found not in here:
        raise ConfigError("device", f"{found} is not on this machine", f"choose from auto, {', '.join(here)}")
    count = torch.cuda.device_count() if found == "cuda" else 1
    if index >= count:
        what = f"there is no {found} device {index}"
        raise ConfigError("device.index", what, f"give 0 to {count - 1}, or leave it out")
    return torch.device(found, index) if found == "cuda" else torch.device(found)
