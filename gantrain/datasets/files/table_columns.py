"""Which columns and rows of a table are learned, which are left out and why, and the classes of its label."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from gantrain.core.suggestions import suggest
from gantrain.core.text import count
from gantrain.datasets.files.cells import describe_cells, is_missing, is_number, parse_number
from gantrain.datasets.files.table_reader import MIN_ROWS, TableReader
from gantrain.errors import ConfigError, DataError

MAX_CLASSES = 100  # distinct values of a label
LISTED = 8  # names in a message
# For a column that was requested, and for a table without any column of numbers
REMEDIES = {
    "words": "leave it out of dataset.columns, or learn its values as classes: dataset.label",
    "true or false": "write 1 and 0, or leave it out of dataset.columns",
    "dates": "write them as days or years, or leave it out of dataset.columns",
    "nothing": "leave it out of dataset.columns",
}
REMEDIES_FOR_ALL = {
    "words": "give at least one, its cells separated by commas",
    "true or false": "write 1 and 0",
    "dates": "write them as days or years",
    "nothing": "fill it",
}


@dataclass
class Columns:
    """The names of the columns to learn, and the others by what they hold."""

    names: list[str]
    left_out: dict[str, list[str]] = field(default_factory=dict)


def choose_columns(table: TableReader, requested: Sequence[str], label: str | None) -> Columns:
    """Return the columns to learn: those requested, or all of numbers but the label.

    Raises ConfigError for one that is requested twice, DataError for one that is missing, has no name or no numbers,
    and for fewer rows than ``MIN_ROWS``.
    """
    if (rows := table.count + len(table.uneven)) < MIN_ROWS:
        raise DataError(table.path, f"has {count(rows, 'row')} of data", f"give at least {MIN_ROWS}")
    for key, column in [*(("columns", c) for c in requested), ("label", label)]:
        if column is not None and column not in table.names:
            what = f"has no column {column!r} (dataset.{key})"
            raise DataError(table.path, what, suggest(column, filter(None, table.names)))
    if repeated := [c for i, c in enumerate(requested) if c in requested[:i] or c == label]:
        what = f"{repeated[0]!r} is named twice or is the label"
        raise ConfigError("dataset.columns", what, "name it once")
    for name in requested:
        if not table.is_numeric(name):
            raise _no_numbers(table, name)
    columns = Columns([*requested])
    for i, name in enumerate(table.names if not requested else ()):
        if not name and table.positions[i] == 0 and _counts_rows(table):
            columns.left_out.setdefault("names of rows", []).append("column 1")
        elif not name:
            what = f"column {table.positions[i] + 1} has no name"
            others = _plain_names([name for name in table.names if name != label and table.is_numeric(name)])
            choice = f", or choose columns: dataset.columns=[{','.join(others)}]" if others else ""
            raise DataError(table.path, what, f"name it{choice}")
        elif name != label and table.is_numeric(name):
            columns.names.append(name)
        elif name != label:
            columns.left_out.setdefault(describe_cells(table.texts(name)), []).append(name)
    if not columns.names:
        others = [name for name in table.names if name and name != label]
        if not others:
            raise DataError(table.path, "has no column but the label", "give a table of numbers")
        raise _no_numbers(table, others[0], "has no column of numbers: ", REMEDIES_FOR_ALL)
    return columns


def _no_numbers(
    table: TableReader, name: str, start: str = "", remedies: Mapping[str, str] = REMEDIES
) -> DataError:
    texts = table.texts(name)
    kind = describe_cells(texts)
    row = next((i for i, text in enumerate(texts) if not is_missing(text)), 0)
    example = f", as {texts[row][:40]!r} in row {row + 1}" if kind != "nothing" else ""
    return DataError(table.path, f"{start}column {name!r} holds {kind}{example}", remedies[kind])


def _counts_rows(table: TableReader) -> bool:
    """Return whether a first column without a name is an index: words, or numbers that count up."""
    values = table.numbers("")
    return not table.is_numeric("") or bool((np.diff(values) > 0).all())


def choose_rows(table: TableReader, names: Sequence[str], label: str | None, skip: bool) -> np.ndarray:
    """Return which rows have a number in each column and a label, [N].

    Raises DataError for the first that does not, unless ``skip``, and for fewer than ``MIN_ROWS``.
    """
    good = np.isfinite([table.numbers(name) for name in names])  # [columns, N]
    is_labelled = np.array([label is None or bool(text) for text in table.texts(label or names[0])])
    complete: np.ndarray = np.all(good, axis=0) & is_labelled
    total, rest = len(complete) + len(table.uneven), int(complete.sum())
    if rest == total or (skip and rest >= MIN_ROWS):
        return complete
    remedy = f"fix it, or leave out {total - rest:,} of {total:,} rows: dataset.bad_rows=skip"
    if rest < MIN_ROWS:
        remedy = _advise_columns(names, good & is_labelled, bool(table.uneven))
    if table.uneven:
        raise table.uneven_error(remedy)
    row = int(complete.argmin())
    column = names[int(good[:, row].argmin())]
    if label is not None and not is_labelled[row]:
        column = label
    raise table.cell_error(column, row, "which is no finite number", remedy)


def _advise_columns(names: Sequence[str], good: np.ndarray, is_uneven: bool) -> str:
    """Return the remedy where too few rows are complete: the columns with the most good rows, which share them.

    Args:
        names: The columns.
        good: Whether each row is good in each, [columns, N].
        is_uneven: Whether rows of another length are among the bad ones.
    """
    order = sorted(range(len(names)), key=lambda i: -int(good[i].sum()))
    counts = np.logical_and.accumulate(good[order]).sum(1)
    best = [names[i] for i in order[: int((counts == counts[0]).sum())]]
    plain = _plain_names(best)
    if counts[0] < MIN_ROWS or not plain:
        return "fix it"
    skip = " dataset.bad_rows=skip" if is_uneven or counts[0] < good.shape[1] else ""
    return f"fix it, or learn fewer columns: dataset.columns=[{','.join(plain)}]{skip}"


def read_classes(
    table: TableReader, label: str, rows: np.ndarray
) -> tuple[Tensor, tuple[str, ...], list[str]]:
    """Return the class of each row, int64 [N], the classes as typed in sorted order, and what to say of them.

    Numbers are sorted as numbers; 1 and 1.0 are two classes.

    Args:
        table: The table.
        label: Its column of classes.
        rows: Which rows count.

    Raises:
        DataError: For more than ``MAX_CLASSES``.
    """
    texts = [text for text, is_good in zip(table.texts(label), rows, strict=True) if is_good]
    distinct = set(texts)
    if len(distinct) > MAX_CLASSES:
        what = f"column {label!r} has {len(distinct):,} distinct values, too many for classes"
        raise DataError(table.path, what, f"give a dataset.label of at most {MAX_CLASSES}, or none")
    is_numeric = all(is_number(text, ".") for text in distinct)
    classes = sorted(distinct, key=lambda text: (parse_number(text) if is_numeric else 0.0, text))
    remarks = []
    if stripped := sum(raw != raw.strip() for raw in table.raw_texts(label)):
        remarks.append(f"outer blanks of {stripped:,} labels removed")
    # The same number, or the same word but for capitals
    alike: dict[object, str] = {}
    for text in classes:
        other = alike.setdefault(parse_number(text) if is_number(text, ".") else text.lower(), text)
        if other != text:
            remarks.append(f"{other!r} and {text!r} are two classes")
            break
    index = {text: i for i, text in enumerate(classes)}
    return torch.tensor([index[text] for text in texts]), tuple(classes), remarks


def _plain_names(names: Sequence[str]) -> list[str]:
    """Return the first few names that need no quotes on a command line."""
    return [name for name in names if re.fullmatch(r"[A-Za-z]\w*", name)][:LISTED]


def listing(names: Sequence[str]) -> str:
    """Return names for a message, the first few of many."""
    short = [name if len(name) <= 40 else name[:40] + "..." for name in names[:LISTED]]
    return ", ".join(short) + (f" and {len(names) - LISTED:,} more" if len(names) > LISTED else "")
