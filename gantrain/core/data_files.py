"""The files that data come from, by name, size and digest: a run knows them again wherever they lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gantrain.core.files import read_bytes
from gantrain.core.text import count, format_size, one_line
from gantrain.errors import DataError

NAME_LETTERS = 100  # of a name in a message
MAX_BYTES = 2**26  # of a list that is read back: about two million names


@dataclass(frozen=True)
class DataFile:
    """A file of a dataset.

    Attributes:
        name: Its path below the dataset's folder, or the key that names it.
        size: In bytes; -1 for a broken link.
        sha256: Of its content; empty for one of many, which name and size identify.
    """

    name: str
    size: int
    sha256: str = ""

    @classmethod
    def read(cls, name: str, path: Path) -> DataFile:
        """Return a file with the digest of its content. Raises OSError."""
        with path.open("rb") as file:
            return cls(name, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


@dataclass(frozen=True)
class DataFiles:
    """All files of a dataset, in its order; none for samples that are drawn."""

    entries: tuple[DataFile, ...] = ()

    @cached_property
    def content(self) -> bytes:
        """The list as a run stores it: a JSON array [size, name] or [size, name, sha256] per line."""
        rows = ([file.size, file.name, file.sha256] for file in self.entries)
        return "".join(json.dumps(row if row[2] else row[:2]) + "\n" for row in rows).encode()

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What a checkpoint stores: the number of files, their bytes, and the SHA-256 of ``content``."""
        sizes = sum(max(file.size, 0) for file in self.entries)
        digest = hashlib.sha256(self.content).hexdigest()
        return {"files": len(self.entries), "bytes": sizes, "sha256": digest}

    @classmethod
    def read(cls, path: Path, sha256: str) -> DataFiles | None:
        """Return the list that a run stored; None if there is none, or another one than that of a digest."""
        try:
            content = read_bytes(path, MAX_BYTES)
            if hashlib.sha256(content).hexdigest() != sha256:
                return None
            rows = [json.loads(line) for line in content.splitlines()]
            return cls(tuple(DataFile(str(row[1]), int(row[0]), *map(str, row[2:3])) for row in rows))
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            return None

    def changes_since(self, summary: dict[str, Any], before: DataFiles | None) -> str:
        """Return how these files differ from earlier ones, in words; an empty string if they do not.

        Args:
            summary: Of the earlier files.
            before: The earlier files, if their list is still there.
        """
        if self.summary["sha256"] == summary.get("sha256"):
            return ""
        if before is None:
            return f"{_sizes(summary)} then, {_sizes(self.summary)} now"
        old, new = ({file.name: file for file in files.entries} for files in (before, self))
        both = [name for name in new if name in old and new[name] != old[name]]
        kinds = {
            "added": [name for name in new if name not in old],
            "removed": [name for name in old if name not in new],
            "of another size": [name for name in both if new[name].size != old[name].size],
            "of the same size with other content": [
                name for name in both if new[name].size == old[name].size
            ],
        }
        parts = [
            f"{len(names):,} {kind} (first {one_line(names[0], NAME_LETTERS)})"
            for kind, names in kinds.items()
            if names
        ]
        return ", ".join(parts) or "the same files in another order"


def _sizes(summary: dict[str, Any]) -> str:
    files, size = summary.get("files"), summary.get("bytes")
    # A description that someone else wrote may hold anything.
    if isinstance(files, int) and isinstance(size, int) and 0 <= min(files, size) <= max(files, size) < 2**63:
        return f"{count(files, 'file')} of {format_size(size)}"
    return "other files"


def named_files(paths: Iterable[tuple[str, Path]]) -> DataFiles:
    """Return files with their names and the digests of their contents. Raises DataError."""
    try:
        return DataFiles(tuple(DataFile.read(name, path) for name, path in paths))
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise DataError(error.filename or "dataset", what, "make it readable, or restore it") from error
