"""What one turn took: seconds, CPU-seconds of the process, and the cores that other processes used meanwhile."""

import os
import resource
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
BUSY_OTHERS = 0.15  # cores; a turn beside more load than this is marked


@dataclass(frozen=True)
class Turn:
    """A turn of ``units`` steps, samples or processes.

    Attributes:
        wall: Seconds.
        cpu: CPU-seconds of the process that was measured, all threads.
        others: Cores that other processes used, NaN where the system does not tell.
    """

    units: float
    wall: float
    cpu: float
    others: float

    @property
    def seconds(self) -> float:
        """Seconds a unit."""
        return self.wall / self.units

    @property
    def cpu_seconds(self) -> float:
        """CPU-seconds a unit."""
        return self.cpu / self.units


def busy_seconds() -> float:
    """Return the CPU-seconds that the whole machine has used since it started, NaN where the system does not tell."""
    if not STAT.exists():
        return float("nan")
    # user nice system idle iowait irq softirq steal
    ticks = [int(word) for word in STAT.read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


class Stopwatch:
    """Started when it is made; ``stop`` returns a turn."""

    def __init__(self) -> None:
        self.wall, self.busy = time.perf_counter(), busy_seconds()

    def stop(self, units: float, cpu: float) -> Turn:
        """Return the turn that ends now, in which the measured process used ``cpu`` seconds."""
        wall = time.perf_counter() - self.wall
        return Turn(units, wall, cpu, max(0.0, busy_seconds() - self.busy - cpu) / wall)


def own_cpu_seconds() -> float:
    """Return the CPU-seconds of this process, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_memory() -> float:
    """Return the most memory that this process has held, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def median(values: Iterable[float]) -> float:
    """Return the median, NaN of none."""
    values = list(values)
    return statistics.median(values) if values else float("nan")


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return ``median (least-most)`` as text."""
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), median(values), max(values)))
    return f"{middle} ({low}-{high})"


def load(turns: Iterable[Turn]) -> str:
    """Return the median and the most load of others as text, marked where the turns were not quiet."""
    others = [turn.others for turn in turns]
    return f"{median(others):.2f} (≤ {max(others):.2f}){'*' * (max(others) > BUSY_OTHERS)}"
