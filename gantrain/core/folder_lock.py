"""The lock on the folder of a run or a sweep, held by the process that writes there."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gantrain.errors import OutputError

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


@dataclass(frozen=True)
class LockedFolder:
    """The folder of a run or a sweep, in which one process at a time writes."""

    path: Path

    @property
    def is_locked(self) -> bool:
        """Whether a process is writing in the folder."""
        return is_locked(self.path)

    def lock(self) -> AbstractContextManager[None]:
        """Create the folder and lock it against other processes. Raises OutputError if that fails."""
        return run_folder_lock(self.path)
