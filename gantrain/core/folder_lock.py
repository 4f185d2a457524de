"""The lock on the folder of a run or a sweep, held by the process that writes there."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gantrain.core.atomic import check_entries, check_own, remove_abandoned
from gantrain.errors import OutputError, writing

LOCK = ".lock"  # of the folder of a run or a sweep
ELSEWHERE = "set run.root or run.dir to a folder of yours"
ABANDONED = (".*.part", ".part-*")  # files and checkpoints that were being written, by older versions too
LOCK_RETRIES = 10  # gantrain show may hold a lock for a moment
_owners: set[tuple[int, int, int]] = (
    set()
)  # device and inode of each locked file, and the thread that has the lock


@contextmanager
def run_folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder, so that no other process writes there; the end of a process releases it.

    The thread that holds it may take it again.

    Raises:
        OutputError: When the folder cannot be made or locked, or another process holds it.
    """
    is_used = folder.is_dir() and any(path.name not in (LOCK, ".hydra") for path in folder.iterdir())
    elsewhere = "copy it to a folder of yours, and go on there" if is_used else ELSEWHERE
    with writing(folder, elsewhere):
        folder.mkdir(parents=True, exist_ok=True)
    with writing(folder / LOCK, elsewhere):
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        status = os.fstat(handle)
        owner = (status.st_dev, status.st_ino, threading.get_ident())
        if owner in _owners:
            yield
            return
        _lock(handle, folder)
        _owners.add(owner)
        try:
            yield
        finally:
            _owners.discard(owner)
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
                raise OutputError(folder, what, "wait for it, or stop it") from error
            time.sleep(0.02)
        except OSError as error:
            what = f"cannot be locked ({error.strerror or error})"
            raise OutputError(folder, what, "set run.root or run.dir to a disk with locks") from error


def is_locked(folder: Path) -> bool | None:
    """Return whether a process is writing in the folder of a run or a sweep; None where that cannot be known."""
    try:
        # Without O_NONBLOCK a pipe would wait for its writer.
        with open(os.open(folder / LOCK, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # closing the file releases it
    except BlockingIOError:
        return True
    except OSError:  # no lock, or a disk without locks
        return None
    return False


@dataclass(frozen=True)
class LockedFolder:
    """The folder of a run or a sweep, in which one process at a time writes.

    Attributes:
        path: The folder.
        parts: Its sub-folders in which gantrain writes.
        logs: Its files that are appended to.
    """

    path: Path
    parts: ClassVar[tuple[str, ...]] = ()
    logs: ClassVar[tuple[str, ...]] = ()

    @property
    def is_locked(self) -> bool:
        """Whether a process is writing in the folder."""
        return bool(is_locked(self.path))

    @property
    def is_abandoned(self) -> bool:
        """Whether the process that had locked the folder has ended."""
        return is_locked(self.path) is False

    def check_entries(self) -> None:
        """Raise OutputError for a link, pipe or device where gantrain would write a file or a folder."""
        check_entries(self.path, *(self.path / part for part in self.parts))
        for name in self.logs:
            with writing(self.path / name):
                check_own(self.path / name)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Create the folder, lock it against other processes, check its entries and tidy it. Raises OutputError."""
        with run_folder_lock(self.path):
            self.check_entries()
            for folder in (self.path, *(self.path / part for part in self.parts)):
                remove_abandoned(folder, *ABANDONED)
            yield
