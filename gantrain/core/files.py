"""Text and JSON in files; the cache folder."""

import errno
import json
import math
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from gantrain.core.atomic import replace_file
from gantrain.core.text import format_size
from gantrain.errors import CheckpointError

# No file that gantrain writes comes near these; a forged one could keep a reader busy for hours.
MAX_BYTES, MAX_PLAN_BYTES = 2**20, 2**24  # of a file of text; of the jobs of a sweep, or the state of a run
MAX_KEYS, MAX_DEPTH, MAX_DIGITS = 5000, 32, 20  # of JSON
PIECE = 2**20  # bytes of a long file that are read at once


def cache_home() -> Path:
    """Return gantrain's cache folder: below ``XDG_CACHE_HOME``, else ``~/.cache``, else in the temporary folder.

    Raises:
        OSError: When none of them can be written.
    """
    for base in (os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache")):
        folder = Path(base, "gantrain")
        with suppress(OSError):  # no home, or one that cannot be written
            if os.path.isabs(base):
                folder.mkdir(parents=True, exist_ok=True)
                if os.access(folder, os.W_OK | os.X_OK):
                    return folder
    import tempfile  # with all kinds of archives, which no other use of this module needs

    folder = Path(tempfile.gettempdir(), f"gantrain-{os.getuid()}")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # Everybody can write there: another user may have made it, or a link in its place.
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise OSError(errno.EPERM, "someone else can write there", str(folder))
    return folder


def read_json(path: Path, strict: bool = True, most: int = MAX_BYTES) -> dict[str, Any]:
    """Return a file's mapping; a missing file is empty, and one of more than ``most`` bytes cannot be read.

    Args:
        path: The file.
        strict: Whether a file that cannot be read raises CheckpointError; otherwise it counts as empty.
        most: Bytes.
    """
    try:
        plain = parse_json(read_text(path, strict, most) or "{}")
        if isinstance(plain, dict):
            return plain
        what = "does not hold what gantrain writes"
    except ValueError as error:
        what = f"cannot be read ({error})"
    if strict:
        raise CheckpointError(path, what, "restore it, or train again")
    return {}


def parse_json(text: str | bytes) -> Any:
    """Return plain data that any program can handle. Raises ValueError, also for what gantrain would never write."""

    def parse_int(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            raise ValueError(f"a number of {len(digits):,} digits")
        return int(digits)

    try:
        plain = json.loads(text, parse_int=parse_int)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    level, depth = [plain], 0
    while level := [value for value in level if isinstance(value, dict | list) and value]:
        if (depth := depth + 1) > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        if any(isinstance(value, dict) and len(value) > MAX_KEYS for value in level):
            raise ValueError(f"it has more than {MAX_KEYS:,} keys in one place")
        level = [item for value in level for item in (value.values() if isinstance(value, dict) else value)]
    return plain


def read_text(path: Path, strict: bool = True, most: int = MAX_BYTES) -> str:
    """Return a file's text; a missing file is empty, and one of more than ``most`` bytes cannot be read.

    Args:
        path: The file.
        strict: As for ``read_json``.
        most: Bytes.
    """
    try:
        return read_bytes(path, most).decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        if not strict:
            return ""
        what, remedy = f"cannot be read ({error.strerror})", "restore it, or make it readable"
        raise CheckpointError(path, what, remedy) from error


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a file. Raises OSError, also for one of more than ``most`` bytes, a pipe or a device."""
    with _open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            what = f"it has {format_size(size)}, more than the {format_size(most)} that are read"
            raise OSError(errno.EFBIG, what, str(path))
        return file.read(size)  # not ``most``, for which the memory would be reserved


def read_lines(path: Path, pieces: int) -> list[bytes]:
    """Return a file's lines; of a large file those in pieces of 1 MiB, the first at its start, the last at its end.

    Args:
        path: The file; none for a missing one.
        pieces: Their number. A line that is longer than a piece is left out.

    Raises:
        OSError: When it cannot be read.
    """
    try:
        file = _open_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    with file:
        size = os.fstat(file.fileno()).st_size
        if size <= pieces * PIECE:
            return file.read(size).splitlines()
        lines = []
        for i in range(pieces):
            file.seek(i * (size - PIECE) // (pieces - 1))
            whole = file.read(PIECE).splitlines()
            # A piece begins and ends inside a line, but for the first and the last one.
            lines += whole[i > 0 : len(whole) - (i < pieces - 1)]
        return lines


def _open_regular(path: Path) -> BinaryIO:
    """Open a file to read. Raises OSError, also for a pipe or device, where reading would wait or never end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return open(handle, "rb")
    os.close(handle)
    raise OSError(errno.EINVAL, "it is not a file", str(path))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain data as indented JSON, atomically; a number that is not finite becomes null."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [clean(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    replace_file(path, (json.dumps(clean(content), indent=2, ensure_ascii=True) + "\n").encode())
