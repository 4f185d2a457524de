"""The processor of this machine, and what of it this process may use."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


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
