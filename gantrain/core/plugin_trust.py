"""The user's record of what they typed that may run code: folders of plug-ins by their files, sweeps by their words."""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from gantrain.core.atomic import replace_file

_loaded_before: set[str] = set()  # keys of this process, for a user whose record cannot be written


def _key(path: str, digests: Mapping[str, str]) -> str:
    # Both together: neither a trusted path with other files nor the same files elsewhere are trusted.
    return hashlib.sha256(json.dumps([path, dict(digests)], sort_keys=True).encode()).hexdigest()


def _record_path() -> Path | None:
    """Return the file of the record; None for a user without a home folder."""
    state = os.environ.get("XDG_STATE_HOME", "")
    home = os.path.expanduser("~")
    base = Path(state) if os.path.isabs(state) else Path(home, ".local", "state")
    # A relative path would be in the working folder, whose files may be a stranger's.
    return base / "gantrain" / "plugins.json" if base.is_absolute() else None


def _read_record(path: Path | None) -> dict[str, str]:
    """Return the path of each key in the record; empty if another user could have written the file."""
    with suppress(OSError, ValueError, RecursionError):
        status = path.stat() if path else None
        if path and status and status.st_uid == os.getuid() and not status.st_mode & 0o022:
            known = json.loads(path.read_bytes())
            return known if isinstance(known, dict) else {}
    return {}


def is_trusted(path: str, digests: Mapping[str, str]) -> bool:
    """Return whether the user has loaded a folder with exactly these files before."""
    key = _key(path, digests)
    return key in _loaded_before or key in _read_record(_record_path())


def trust(path: str, digests: Mapping[str, str]) -> None:
    """Record that the user has loaded a folder with these contents; a record that cannot be written is no error."""
    key, record = _key(path, digests), _record_path()
    _loaded_before.add(key)
    if record is None:
        return
    with suppress(OSError):
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with record.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = _read_record(record)
            if key not in known:
                replace_file(record, json.dumps(known | {key: path}, indent=1).encode(), mode=0o600)
