"""The scalars of a run, read back from ``metrics.jsonl``; of a very long file a part."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gantrain.core.files import MAX_KEYS, PIECE, read_lines
from gantrain.core.tags import RENAMED, with_current_names
from gantrain.core.text import format_size
from gantrain.errors import CheckpointError

MAX_TAGS = 1000  # a run has some dozens
MAX_PIECES = 8  # more points than any chart shows
MAX_VALUE = 10**300  # an integer that is a float too
NAN = float("nan")


def read_history(path: Path, strict: bool = True, pieces: int = MAX_PIECES) -> list[dict[str, Any]]:
    """Return the lines as ``{"step": …, tag: value}``, oldest first.

    Lines that are incomplete or forged count as absent, and tags beyond ``MAX_TAGS`` do.

    Args:
        path: The file; none for a missing one.
        strict: Whether a file that cannot be read raises CheckpointError; otherwise it counts as empty.
        pieces: Of 1 MiB each, that are read of a longer file.
    """
    try:
        lines = read_lines(path, pieces)
    except OSError as error:
        if not strict:
            return []
        what = f"cannot be read ({error.strerror})"
        raise CheckpointError(path, what, "restore it, or make it readable") from error
    rows = [row for row in map(parse_row, lines) if row is not None]
    tags = {tag: None for row in rows for tag in row}
    if len(tags) > MAX_TAGS:
        kept = set(list(tags)[:MAX_TAGS]) | {"step"}
        rows = [{tag: value for tag, value in row.items() if tag in kept} for row in rows]
    return rows


def omission(path: Path) -> str:
    """Return how much of the file ``read_history`` leaves out, in words; an empty string for nothing."""
    size = path.stat().st_size - MAX_PIECES * PIECE if path.is_file() else 0
    return f"{path}: {format_size(size)} of it are left out" if size > 0 else ""


def last_values(rows: Iterable[Mapping[str, Any]], step: int | None = None) -> dict[str, float]:
    """Return the last value of each tag, or the values at one step; NaN for a value that was not finite."""
    rows = [row for row in rows if step is None or row["step"] == step]
    merged = {tag: value for row in rows for tag, value in row.items() if tag != "step"}
    return {tag: NAN if value is None else float(value) for tag, value in merged.items()}


def parse_row(line: bytes) -> dict[str, Any] | None:
    """Return a line's step and its numbers by tag; None for one that is incomplete, forged, or empty."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or len(row) > MAX_KEYS or not _is_step(row.get("step")):
        return None
    if not RENAMED.keys().isdisjoint(row):
        row = with_current_names(row)
    if all(map(_is_value, row.values())):
        return row
    return {tag: value for tag, value in row.items() if _is_value(value)}


def _is_step(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**63


def _is_value(value: object) -> bool:
    """Whether it is a number, or None, which stands for one that was not finite."""
    return value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < MAX_VALUE)
