"""Whether the folder of a run or a sweep is free: locked by no other process, and empty."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from gantrain.errors import ConfigError, OutputError

LOCK = ".lock"  # of the folder of a run or a sweep
LOCK_RETRIES = 10  # gantrain show may hold a lock for a moment


@contextmanager
def run_folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder, so that no other process writes there; the end of a process releases it.

    Raises:
        OutputError: When the folder cannot be made or locked, or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise OutputError(folder, what, "set run.root or run.dir to a folder of yours") from error
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    for retries in reversed(range(LOCK_RETRIES)):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if not retries:
                what = "another gantrain is writing here"
                raise OutputError(folder, what, "wait for it, or choose another run.dir") from error
            time.sleep(0.02)
        except OSError as error:
            what = f"cannot be locked ({error.strerror or error})"
            raise OutputError(folder, what, "set run.root or run.dir to a disk with locks") from error


def is_locked(folder: Path) -> bool:
    """Return whether a process is writing in the folder of a run or a sweep."""
    try:
        with open(folder / LOCK, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # closing the file releases it
    except BlockingIOError:
        return True
    except OSError:  # no lock, or a disk without locks
        pass
    return False


def ensure_empty(folder: Path) -> None:
    """Raise ConfigError unless a folder is new or empty."""
    if os.path.isfile(folder):
        raise ConfigError("run.dir", f"{folder} is a file", "give a folder that is new or empty")
    # Of a name that is too long, Path.exists raises where os.path says no; making the folder reports it.
    if os.path.isdir(folder) and any(path.name != LOCK for path in folder.iterdir()):
        remedy = f"choose another, or go on with: gantrain resume {quote(str(folder))}"
        raise ConfigError("run.dir", f"{folder} is not empty", remedy)
