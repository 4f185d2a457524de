"""This process and its machine: cores, processor, a muted log."""

import logging
import os
import platform
import re
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from gantrain.errors import ConfigError

BASIC_FILES = 256  # that a process may have open at once for any other reason
# Of a socket's path the system allows 104 to 108 bytes, of which multiprocessing adds about 32.
MAX_FOLDER_BYTES = 64
MUTES, MUTES_LOCK = list[int](), Lock()  # levels up to which records are dropped now


@contextmanager
def mute_logging(level: int) -> Iterator[None]:
    """Drop the log records of all loggers up to a level of ``logging``."""
    # Of several threads that do this, the last to leave lets records through again.
    with MUTES_LOCK:
        MUTES.append(level)
        logging.disable(max(MUTES))
    try:
        yield
    finally:
        with MUTES_LOCK:
            MUTES.remove(level)
            logging.disable(max(MUTES, default=logging.NOTSET))


def usable_cores() -> int:
    """Return the number of CPU cores that the affinity and the container's quota allow this process."""
    import joblib  # which knows cgroups; os.cpu_count is that of the machine

    return int(joblib.cpu_count())


def is_one_of_several() -> bool:
    """Return whether a launcher such as ``torchrun`` started this process as one of several that play one run."""
    # One process alone may have RANK=0 and WORLD_SIZE=1. Variables of Slurm are no sign: a batch script has them.
    return launcher_number("WORLD_SIZE", 1) > 1 or launcher_number("RANK", 0) > 0


def launcher_number(name: str, default: int) -> int:
    """Return a variable of the launcher. Raises ConfigError unless it is a whole number."""
    value = os.environ.get(name, "").strip()
    if value and not value.isdecimal():
        raise ConfigError(name, f"is {value!r}, not a whole number", f"unset {name}, or start by torchrun")
    return int(value) if value else default


def physical_memory() -> int:
    """Return the bytes of memory of this machine, or the largest number where the system does not tell."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):
        return sys.maxsize
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def allow_open_files(count: int) -> None:
    """Let this process open ``count`` more files, as far as its hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wish = count + BASIC_FILES if hard == resource.RLIM_INFINITY else min(count + BASIC_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wish:
        with suppress(OSError, ValueError):  # the system has a limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wish, hard))


def processor_name() -> str:
    """Return the model of the processor, or its architecture where the system does not know it."""
    with suppress(OSError):
        if model := re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
            return model[1]
    return platform.processor() or platform.machine()


@contextmanager
def short_socket_folder() -> Iterator[None]:
    """Let a library make the folder of its sockets where their paths are short enough for the system."""
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > MAX_FOLDER_BYTES:
        tempfile.tempdir = next(
            (place for place in ("/tmp", "/var/tmp") if os.access(place, os.W_OK)), before
        )
    try:
        yield
    finally:
        tempfile.tempdir = before
