"""Files and folders that are written whole or not at all, and never through a link."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gantrain.errors import OutputError

PREFIX = ".gantrain-"  # of a part: what is being written, or was when its process was killed


@contextmanager
def replacement(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Yield a new file, open to write and read, that replaces ``path`` if the block succeeds and is removed otherwise.

    Parts that killed processes left in that folder are removed first.

    Args:
        path: The file to replace.
        mode: Permissions of the new file, before the umask.

    Raises:
        OSError: When it cannot be written, or ``path`` is a link or no file; what was there is untouched.
    """
    with _naming(path):
        _check_regular(path)
        remove_abandoned(path.parent, f"{PREFIX}*.part")
        part, handle = _new_part(path.parent, lambda part: _new_file(part, mode))
    try:
        with _naming(path), open(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(
                handle
            )  # before it is renamed: a crash then leaves the old file or the new one, never an empty one
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacement_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder whose files are moved to the folder ``path`` if the block succeeds; other files there stay.

    Raises:
        OSError: When they cannot be written; the files that were there are untouched.
    """
    is_new = not path.exists()
    with _naming(path):
        path.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path, f"{PREFIX}*.part")
        part, handle = _new_part(path, _new_folder)  # inside, so that it is on the same disk
    try:
        with _naming(path):
            yield part
            for file in sorted(part.iterdir()):
                _check_regular(path / file.name)
            for file in sorted(part.iterdir()):
                file.replace(path / file.name)
    finally:
        _remove_tree(part)
        os.close(handle)
        if is_new:
            with suppress(OSError):  # it holds what was written
                path.rmdir()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder that becomes ``path``, which is absent or empty, if the block succeeds and is removed otherwise.

    Raises:
        OSError: When it cannot be written, or ``path`` holds files.
    """
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path.parent, f"{PREFIX}*.part")
        part, handle = _new_part(path.parent, _new_folder)
    try:
        with _naming(path):
            yield part
            part.replace(path)
    finally:
        _remove_tree(part)
        os.close(handle)


def replace_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file atomically: a reader sees the old content or the new, never a part. Raises OSError."""
    with replacement(path, mode) as file:
        file.write(content)


def append_to(path: Path) -> BinaryIO:
    """Open a file to append to, made when absent. Raises OSError for a link, also a hard one, or what is no file."""
    with _naming(path):
        # Without O_NONBLOCK a pipe would wait for its reader.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        check_own(path)
        return open(os.open(path, flags, 0o666), "ab")


def check_own(path: Path) -> None:
    """Test that what is appended to a file is in no other file, of a link or a hard link. Raises OSError."""
    with _naming(path):
        _check_regular(path)
        if os.path.lexists(path) and path.lstat().st_nlink > 1:
            raise OSError(errno.EMLINK, "it is a hard link, another name of a file elsewhere")


def check_place(path: Path) -> None:
    """Test that a file could be written at a path, whose folder need not exist. Raises OSError."""
    with _naming(path):
        _check_regular(path)
        folder = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
        part, handle = _new_part(folder, _new_file)
        os.close(handle)
        part.unlink()


def check_entries(*folders: Path) -> None:
    """Raise OutputError for a link, pipe or device among the entries of folders, where a file would lie elsewhere."""
    for folder in folders:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                    what = "is a link" if entry.is_symlink() else "is a pipe, socket or device"
                    remedy = "remove it, or put a file or folder of its own in its place"
                    raise OutputError(entry.path, f"{what}, which is never written through", remedy)


def _remove_tree(folder: Path) -> None:
    import shutil  # with all kinds of archives, which the verbs that only read do without

    shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(folder: Path, *patterns: str) -> None:
    """Remove what killed processes left in a folder under names of these patterns; a part that is written is locked."""
    for part in [part for pattern in patterns for part in folder.glob(pattern)]:
        with suppress(OSError):
            handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_tree(part) if part.is_dir() else part.unlink()
            finally:
                os.close(handle)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Give an OSError of the block the name of the file that is written, in place of none or that of its part."""
    try:
        yield
    except OSError as error:
        if error.errno is None or not (error.filename is None or PREFIX in str(error.filename)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _check_regular(path: Path) -> None:
    """Raise OSError for a link, and for what is no file."""
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise OSError(errno.ELOOP, "it is a link")
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.ENXIO, "it is a pipe, socket or device")


def _new_part(folder: Path, make: Callable[[Path], int]) -> tuple[Path, int]:
    """Make a part in a folder; return it and its handle, whose lock says that its process lives."""
    while True:
        part = folder / f"{PREFIX}{os.getpid()}-{os.urandom(4).hex()}.part"
        handle = make(part)
        with suppress(OSError):  # a disk without locks, where parts are never taken for abandoned
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:  # else another process removed it before it was locked
            return part, handle
        os.close(handle)


def _new_file(part: Path, mode: int = 0o600) -> int:
    return os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


def _new_folder(part: Path) -> int:
    part.mkdir()
    return os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
