"""This process and its machine: cores, processor, a muted log."""

import logging
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


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
