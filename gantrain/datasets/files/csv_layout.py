"""How a text table is laid out: the separator, the quotes and the lines above its names, found in its first lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from gantrain.datasets.files.cells import is_missing, is_number

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
SAMPLE = 200  # lines, and cells of each, that the layout is found in
MIN_SHARE = 0.5  # of the rows must have as many cells as the first line, for a separator to be one


@dataclass(frozen=True)
class Layout:
    """How lines become cells.

    Attributes:
        separator: A name of ``SEPARATORS``; ``space`` stands for any number of blanks and tabs.
        quote: What encloses a cell that holds separators.
        skips_blanks: Whether blanks between a separator and a quote are no part of the cell.
        has_row_names: Whether each row begins with a cell that the first line has no name for, as R writes them.
    """

    separator: str = "comma"
    quote: str = '"'
    skips_blanks: bool = False
    has_row_names: bool = False

    def reader(self, lines: Iterable[str], strict: bool = True) -> Any:
        """Return a reader of the module csv; ``strict`` refuses a quote without its end."""
        mark = SEPARATORS[self.separator]
        if self.separator == "space":
            lines = (line.replace("\t", " ") for line in lines)
        return csv.reader(
            lines, delimiter=mark, quotechar=self.quote, skipinitialspace=self.skips_blanks, strict=strict
        )


def split_preamble(lines: Iterable[str]) -> tuple[list[str], str | None, int, list[str]]:
    """Return what stands above a table, and the sample of its lines.

    Returns:
        The lines that begin with ``#``, the separator that a line ``sep=;`` of Excel names, how many lines those and
        the blank ones are, and the first lines after them.
    """
    comments, separator, count = list[str](), None, 0
    lines = iter(lines)
    for line in lines:
        if match := re.fullmatch(r'"?sep=(.)"?\s*', line, re.IGNORECASE):
            separator = {mark: name for name, mark in SEPARATORS.items()}.get(match[1])
        elif line.startswith("#"):
            comments.append(line)
        elif line.strip():
            return comments, separator, count, [line, *islice(lines, SAMPLE)]
        count += 1
    return comments, separator, count, []


def find_layout(sample: list[str], separator: str | None = None) -> Layout:
    """Return the layout by which most rows have as many cells as the first line, and most cells are numbers.

    Args:
        sample: The first lines, the names among them.
        separator: A name of ``SEPARATORS``, where it is known.
    """
    best, best_score = None, (0.0, 0.0)
    for name in [separator] if separator else SEPARATORS:
        try:
            layout, *score = _try_layout(sample, name)
        except (
            csv.Error
        ):  # a cell beyond the limit of the module csv, as of a line that this does not separate
            continue
        if best is None or tuple(score) > best_score:
            best, best_score = layout, (score[0], score[1])
    return best or Layout(separator or "comma")


def _try_layout(sample: list[str], separator: str) -> tuple[Layout, float, float]:
    """Return the layout with this separator, the share of rows that it fits in tenths, and the share of numbers."""
    mark = re.escape(SEPARATORS[separator])
    quoted = rf"'(?:[^']|'')*'\s*(?:{mark}\s*'(?:[^']|'')*'\s*)*"
    quote = "'" if re.fullmatch(quoted, sample[0]) else '"'
    skips_blanks = separator == "space" or any(re.search(f"{mark} +{quote}", line) for line in sample)
    layout = Layout(separator, quote, skips_blanks)
    names, *rows = [row for row in layout.reader(sample, strict=False) if any(row)] or [[]]
    fitting = [row for row in rows if _fits(row, names)]
    longer = [row for row in rows if len(row) == len(names) + 1 and row[-1]]
    # R writes counts in quotes, though numbers have none; any other first cell may as well have the first name.
    is_counted = all(re.match(r'\s*"\d+"', line) for line in sample[1:] if line.strip())
    if len(longer) == len(rows) > 0 and len(names) > 0 and is_counted:
        return replace(layout, has_row_names=True), 1.0, _share_numbers(longer, separator)
    if len(names) < 2 or len(fitting) < MIN_SHARE * len(rows):
        return layout, 0.0, _share_alike(names, rows, separator)
    share = round(len(fitting) / len(rows), 1) if rows else 1.0
    return layout, share, _share_numbers(fitting, separator)


def _share_alike(names: list[str], rows: list[list[str]], separator: str) -> float:
    """Return how good a layout that does not fit is, in [0, 1]: it says what is wrong, or that there is one column."""
    if separator == "comma" and all(len(row) <= 1 for row in [names, *rows]):
        return 0.5
    common = Counter(len(row) for row in rows if len(row) > 1).most_common(1)
    is_title = separator == "space" and len(names) < 2
    return common[0][1] / len(rows) if common and not is_title else 0.0


def _fits(row: list[str], names: list[str]) -> bool:
    """Return whether a row has a cell for each name, but for empty ones at the end of either."""
    longer, shorter = (row, names) if len(row) > len(names) else (names, row)
    return not any(longer[len(shorter) :])


def _share_numbers(rows: list[list[str]], separator: str) -> float:
    cells = [cell for row in rows for cell in row[:SAMPLE]]
    marks = "." if separator == "comma" else ".,"
    return sum(is_missing(cell) or is_number(cell, marks) for cell in cells) / max(len(cells), 1)
