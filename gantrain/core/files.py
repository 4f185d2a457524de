"""Text and JSON in files; the cache folder."""

import errno
import json
import math
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gantrain.core.atomic import replace_file
from gantrain.errors import CheckpointError, writing


def cache_home() -> Path:
    """Return gantrain's cache folder: below ``XDG_CACHE_HOME``, else ``~/.cache``, else in the temporary folder.

    Raises:
        OutputError: When none of them can be written.
    """
    for base in (os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache")):
        folder = Path(base, "gantrain")
        with suppress(OSError):  # no home, or one that cannot be written
            if os.path.isabs(base):
                folder.mkdir(parents=True, exist_ok=True)
                if os.access(folder, os.W_OK | os.X_OK):
                    return folder
    folder = Path(tempfile.gettempdir(), f"gantrain-{os.getuid()}")
    with writing(folder, "set XDG_CACHE_HOME to a folder of yours"):
        folder.mkdir(mode=0o700, exist_ok=True)
        # Everybody can write there: another user may have made it, or a link in its place.
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise OSError(errno.EPERM, "someone else can write there")
    return folder


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
