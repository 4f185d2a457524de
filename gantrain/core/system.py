"""The machine and its process: cores, processor, signals, a muted log."""

from __future__ import annotations

import logging
import os
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
def muted(level: int) -> Iterator[None]:
    """Let nothing be logged up to a level of ``logging``, by whomever."""
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(before)


def cores() -> int:
    """Return how many whole CPU cores this process may use, at least one."""
    return max(1, int(usable_cores()))


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Return how many cores this process may use: its affinity, and the quota of its container.

    Args:
        cgroup: Where Linux keeps the quota; a quota of one and a half cores is 1.5.
    """
    mask = getattr(os, "sched_getaffinity", None)
    cores = float(len(mask(0)) if mask else os.cpu_count() or 1)
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()[:2]
        except (OSError, ValueError):
            continue
        if quota.isdecimal() and period.isdecimal() and int(quota) > 0 and int(period) > 0:
            cores = min(cores, int(quota) / int(period))
    return cores


def processor_name() -> str:
    """Return what the processor is called, as far as the system tells."""
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def handled(note: Callable[[int], None]) -> Iterator[None]:
    """Meanwhile have ``note`` called with the number of each signal that asks to stop; what it raises is raised."""
    try:
        before = {number: signal.signal(number, lambda at, _: note(at)) for number in SIGNALS}
    except ValueError:  # signals belong to the main thread; a notebook may train in another
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def available_devices() -> list[str]:
    """Return the kinds of device that this machine has, the best first: cuda, mps, cpu."""
    import torch

    kinds = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)]
    return [kind for kind, present in kinds if present]


def resolve_device(kind: str, index: int = 0) -> torch.device:
    """Return the device of a kind, or with ``auto`` the best that is there.

    Args:
        kind: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        index: Which of several GPUs.

    Raises:
        ConfigError: When it is not there; no other device takes its place.
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
