"""The names and the cells of a text table, as text; the cells of every row are counted."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from gantrain.datasets.files.cells import is_number
from gantrain.datasets.files.csv_layout import Layout, find_layout, split_preamble
from gantrain.datasets.files.table_bytes import find_encoding, read_bytes
from gantrain.errors import DataError

MAX_COLUMNS = 50_000
BLOCK = 100  # rows that become columns together; few, since the garbage collector visits them


@dataclass
class Rows:
    """A text table.

    Attributes:
        names: Of the columns, without outer blanks; ``1``, ``2``, ... where the file names none.
        columns: Their cells as in the file, each of N texts.
        positions: Of the columns in the file, from 0; those without name and content are left out.
        empty: Rows without any content, which are left out.
        uneven: Lines whose rows have more or fewer cells than there are names, and the counts; left out.
        remarks: How the file differs from comma-separated UTF-8.
    """

    names: list[str]
    columns: list[list[str]]
    positions: list[int] = field(default_factory=list)
    empty: int = 0
    uneven: list[tuple[int, int]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_rows(path: Path, separator: str = "auto", has_names: bool = True) -> Rows:
    """Return the cells of a text file. Raises DataError for one that is no table.

    Args:
        path: The file; gzip is unpacked.
        separator: A name of ``SEPARATORS``, or ``auto``.
        has_names: Whether the first line names the columns.
    """
    data = read_bytes(path)
    encoding = find_encoding(path, data)

    def open_text() -> io.TextIOWrapper:
        return io.TextIOWrapper(io.BytesIO(data), encoding, newline="")

    comments, hint, start, sample = split_preamble(open_text())
    if not sample:
        raise DataError(path, "is empty", "give a first row of names, then numbers")
    layout = find_layout(sample, hint if separator == "auto" else separator)
    reader = layout.reader(islice(open_text(), start, None))
    lines = _read_lines(path, reader, start)
    _, first = next(lines)
    names = _names_in_comment(comments, first, layout) if has_names else None
    if names is not None or not has_names:
        lines = _put_back(first, start + 1, lines)
        names = names or [str(i) for i in range(1, len(first) + 1)]
        comments = comments[:-1] if has_names else comments
    else:
        names = [""] * layout.has_row_names + [name.strip() for name in first]
    if len(names) > MAX_COLUMNS:
        what = f"has {len(names):,} columns, more than {MAX_COLUMNS:,}"
        raise DataError(path, what, "give a table of fewer")
    rows = _collect(names, lines)
    rows.remarks = _remarks(layout, encoding, len(comments))
    return rows


def _read_lines(path: Path, reader: Any, start: int) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the number of its first line. Raises DataError for quotes that do not match."""
    line = start + 1
    try:
        for row in reader:
            yield line, row
            line = start + reader.line_num + 1
    except csv.Error as error:
        reason = "a quote that is not closed" if "unexpected end" in str(error) else str(error)
        remedy = "fix the quotes in that line: a quote within quotes is doubled"
        raise DataError(path, f"cannot be read as CSV from line {line} on ({reason})", remedy) from error


def _put_back(
    first: list[str], line: int, lines: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield line, first
    yield from lines


def _names_in_comment(comments: list[str], first: list[str], layout: Layout) -> list[str] | None:
    """Return the names that the last line of comment holds, as NumPy writes them, above a first row of numbers."""
    if not comments:
        return None
    names = [name.strip() for name in next(layout.reader([comments[-1].lstrip("# ")], strict=False))]
    is_row = any(map(is_number, first)) and not any(map(is_number, names))
    return names if is_row and len(names) == len(first) else None


def _collect(names: list[str], lines: Iterator[tuple[int, list[str]]]) -> Rows:
    """Return the cells by column, each under its own name."""
    width = len(names)
    fewest = max((i + 1 for i, name in enumerate(names) if name), default=1)
    rows = Rows(names, [[] for _ in names])
    block: list[list[str]] = []

    def flush() -> None:
        for column, cells in zip(rows.columns, zip(*block, strict=True), strict=False):
            column.extend(cells)
        block.clear()

    for line, row in lines:
        if not (row and row[0].strip()) and not any(cell.strip() for cell in row):
            rows.empty += len(row) >= min(width, 2)  # not a blank line
            continue
        if len(row) != width:
            # Separators at the end of a row or of the names hold nothing.
            if len(row) < fewest or any(map(str.strip, row[width:])):
                rows.uneven.append((line, len(row)))
                continue
            row = (row + [""] * width)[:width]
        block.append(row)
        if len(block) == BLOCK:
            flush()
    flush()
    # Separators beyond the last name make columns without a name and without content.
    kept = [i for i, name in enumerate(names) if name or any(map(str.strip, rows.columns[i]))]
    rows.positions = kept or [0]
    rows.names, rows.columns = [names[i] for i in rows.positions], [rows.columns[i] for i in rows.positions]
    return rows


def _remarks(layout: Layout, encoding: str, comments: int) -> list[str]:
    marks = [] if layout.separator == "comma" else [f"separated by {layout.separator}s"]
    if encoding in ("cp1252", "latin-1"):
        marks.append("letters read as Windows-1252, since they are not UTF-8")
    return marks + [f"{comments} line{'s' * (comments > 1)} of comment"] * bool(comments)
