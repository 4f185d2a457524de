"""Files that are written whole or not at all; JSON; the cache folder."""

import functools
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gantrain.errors import CheckpointError


@contextmanager
def replacement(path: Path, size: int = 0, mode: int = 0o666) -> Iterator[Path]:
    """Yield a new file next to ``path``, which replaces it if the block succeeds and is removed otherwise.

    Args:
        path: The file to replace.
        size: Bytes to reserve beforehand.
        mode: Permissions of the new file, before the umask.

    Raises:
        OSError: When it cannot be written; the old file is untouched.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # another process may write the same file
    try:
        with open(part, "wb", opener=functools.partial(os.open, mode=mode)) as file:
            if size and hasattr(os, "posix_fallocate"):
                # Before it is mapped: a full disk kills a process that writes to a map.
                os.posix_fallocate(file.fileno(), 0, size)
            if size:
                file.truncate(size)
        yield part
        # On disk before it is renamed: a crash then leaves the old file or the new one, never an empty one.
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file atomically: a reader sees the old content or the new, never a part. Raises OSError."""
    with replacement(path, mode=mode) as part:
        part.write_bytes(content)


def cache_dir() -> Path:
    """Return gantrain's cache folder, below ``XDG_CACHE_HOME``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gantrain"


def read_json(path: Path, strict: bool = True) -> dict[str, Any]:
    """Return a file's mapping; a missing file is empty.

    Args:
        path: The file.
        strict: Whether a file that cannot be read raises CheckpointError; otherwise it counts as empty.
    """
    try:
        plain = json.loads(read_text(path, strict) or "{}")
        if isinstance(plain, dict):
            return plain
        what = "does not hold what gantrain writes"
    except (ValueError, RecursionError) as error:  # RecursionError: nested too deeply
        what = f"cannot be read ({error})"
    if strict:
        raise CheckpointError(path, what, "restore it, or train again")
    return {}


def read_text(path: Path, strict: bool = True) -> str:
    """Return a file's text; a missing file is empty; ``strict`` as for ``read_json``."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        if not strict:
            return ""
        raise CheckpointError(path, f"cannot be read ({error.strerror})", "make it readable") from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain data as indented JSON, atomically; a number that is not finite becomes null."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [clean(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    replace_file(path, (json.dumps(clean(content), indent=2, ensure_ascii=True) + "\n").encode())
