"""The columns of a CSV or Parquet file: read whole, and every fault named by file, column and row."""

from __future__ import annotations

import csv
import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrain.errors import ConfigError, DataError

MOST_CLASSES = 100  # distinct values that a label may have


def open_table(path: str | None) -> File:
    """Return the file as its name says. Raises ConfigError when there is no name, DataError when no file."""
    if not path:
        raise ConfigError("dataset.path", "names no file", "set dataset.path=FILE.csv")
    where = Path(path).expanduser()
    if where.is_dir():
        raise DataError(where, "is a folder", "set dataset.path to a .csv or .parquet file in it")
    if not where.is_file():
        raise DataError(where, "there is no such file", "set dataset.path to a .csv or .parquet file")
    return Parquet(where) if where.suffix.lower() in (".parquet", ".pq") else CSV(where)


class File:
    """A table on disk. ``frame`` reads it; ``texts`` gives a column's cells as they are written."""

    def __init__(self, path: Path):
        self.path = path

    def frame(self) -> Any:
        """Return the file as a pandas frame, its columns under their names. Raises DataError."""
        raise NotImplementedError

    def texts(self, frame: Any, name: str) -> list[str]:
        """Return the cells of a column as they are written."""
        return ["" if value is None or value != value else str(value) for value in frame[name].tolist()]

    def numbers(self, frame: Any, name: str, asked: bool) -> np.ndarray | None:
        """Return a column as finite float64, or None for one without a number that nobody asked for."""
        from pandas.api import types

        kind = frame[name].dtype
        if (
            types.is_numeric_dtype(kind)
            and not types.is_bool_dtype(kind)
            and not types.is_complex_dtype(kind)
        ):
            values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            values = _parsed(self.texts(frame, name))
            if not asked and np.isnan(values).all():
                return None
        if not np.isfinite(values).all():
            raise self.not_a_number(frame, name)
        return values

    def not_a_number(self, frame: Any, name: str) -> DataError:
        """Return the error for the first cell of a column that is no finite number."""
        texts = self.texts(frame, name)
        row = int(np.flatnonzero(~np.isfinite(_parsed(texts)))[0])
        return self.bad(
            name, texts[row], row, "which is no finite number", "mend it, or leave the column out"
        )

    def bad(self, name: str, text: str, row: int, why: str, remedy: str) -> DataError:
        """Return the error for one cell, its row counted from 0."""
        shown = "an empty cell" if not text.strip() else repr(text if len(text) <= 40 else text[:40] + "...")
        why = f", {why}" if text.strip() else ""
        return DataError(self.path, f"column {name!r} has {shown} in row {row + 1}{why}", remedy)

    def classes(self, frame: Any, name: str) -> tuple[Tensor, tuple[str, ...]]:
        """Return the class of each row, int64 [N], and what the classes stand for, in sorted order."""
        texts = self.texts(frame, name)
        for row, text in enumerate(texts):
            if not text.strip():
                raise self.bad(name, text, row, "", "label every row, or leave the row out")
        numbers = _parsed(texts)
        keys: list[Any] = numbers.tolist() if np.isfinite(numbers).all() else texts
        first = dict(zip(reversed(keys), reversed(texts), strict=True))  # 1 and 1.0 are one class
        if len(first) > MOST_CLASSES:
            what = f"column {name!r} has {len(first):,} distinct values, too many for classes"
            raise DataError(self.path, what, f"give a dataset.label of at most {MOST_CLASSES}, or none")
        found = sorted(first)
        index = {key: i for i, key in enumerate(found)}
        return torch.tensor([index[key] for key in keys]), tuple(first[key] for key in found)


def _parsed(texts: list[str]) -> np.ndarray:
    """Return what Python reads each text as, float64 [N]: NaN for what is no number."""

    def parse(text: str) -> float:
        try:
            return math.nan if "_" in text else float(text)
        except ValueError:
            return math.nan

    return np.array([parse(text) for text in texts], dtype=np.float64)


class CSV(File):
    """Comma-separated text in UTF-8, with or without a byte order mark."""

    def frame(self) -> Any:
        """Return the file as a pandas frame. Raises DataError."""
        import pandas

        names = self._names()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pandas.errors.ParserWarning)
                frame = self._pandas()
        except (pandas.errors.ParserError, pandas.errors.ParserWarning) as error:
            said = " ".join(str(error).split())
            if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", said):
                what = f"line {found[2]} has {found[3]} cells and the first line names {found[1]} columns"
                raise DataError(self.path, what, "mend the line") from error
            raise DataError(
                self.path, f"cannot be read as CSV ({said})", "mend it, or save it anew"
            ) from error
        if not isinstance(frame.index, pandas.RangeIndex):  # pandas takes the surplus for the names of rows
            what = f"its rows have more cells than the {len(names)} columns that the first line names"
            raise DataError(self.path, what, "name every column")
        frame.columns = names
        return frame

    def _pandas(self, **how: Any) -> Any:
        import pandas

        # No text but an empty cell stands for a missing number.
        how = dict(encoding="utf-8-sig", compression=None, low_memory=False, na_values=[""]) | how
        if tuple(map(int, pandas.__version__.split(".")[:2])) < (3, 1):
            how["float_precision"] = (
                "round_trip"  # each number as Python reads it, which later ones do unasked
            )
        return pandas.read_csv(self.path, keep_default_na=False, **how)

    def texts(self, frame: Any, name: str) -> list[str]:
        """Return the cells as they stand in the file, before any was read as a number."""
        at = list(frame.columns).index(name)
        column = self._pandas(usecols=[at], header=0, dtype=str, na_filter=False, skip_blank_lines=True)
        return [text if isinstance(text, str) else "" for text in column.iloc[:, 0].tolist()]

    def _names(self) -> list[str]:
        """Return the names in the first line. Raises DataError for a file that cannot be a table."""
        lines = self._lines()
        try:
            first = next(csv.reader(lines), None)
            for _ in lines:  # all of it must be text
                pass
        except (OSError, csv.Error) as error:
            said = getattr(error, "strerror", None) or error
            raise DataError(self.path, f"cannot be read ({said})", "give a .csv that you may read") from error
        if first is None:
            raise DataError(self.path, "is empty", "give a first row of names, then numbers")
        names = [name.strip() for name in first]
        twice = [name for i, name in enumerate(names) if name and name in names[:i]]
        if twice:
            raise DataError(self.path, f"has two columns called {twice[0]!r}", "give each a name of its own")
        numbers = _parsed(names)
        counted = bool((numbers == np.rint(numbers)).all() and (np.diff(numbers) > 0).all())  # 0,1,2 or years
        if np.isfinite(numbers).all() and not counted:
            raise DataError(self.path, "has numbers in its first line", "put a line with the names above it")
        return names

    def _lines(self) -> Iterator[str]:
        """Give the lines of the file that are not blank, having seen that all of it is text."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    what = f"is not UTF-8 text (byte 0x{line[error.start]:02x} in line {number})"
                    raise DataError(self.path, what, "save it as CSV in UTF-8") from error
                if "\0" in text:
                    raise DataError(
                        self.path, f"is not text (a zero byte in line {number})", "save it as CSV"
                    )
                if text.strip():
                    yield text


class Parquet(File):
    """A Parquet file, by pyarrow."""

    def frame(self) -> Any:
        """Return the file as a pandas frame. Raises DataError."""
        import pandas

        try:
            frame = pandas.read_parquet(self.path, engine="pyarrow")
        except ImportError as error:
            what = "is Parquet, and pyarrow is not installed"
            raise DataError(self.path, what, "pip install 'gantrain[parquet]', or give a .csv") from error
        except (OSError, ValueError) as error:  # pyarrow's own errors are these
            said = " ".join(str(error).split())
            raise DataError(
                self.path, f"cannot be read as Parquet ({said})", "write it anew, or give a .csv"
            ) from error
        frame.columns = [str(name) for name in frame.columns]
        if not frame.columns.is_unique:
            name = frame.columns[frame.columns.duplicated()][0]
            raise DataError(self.path, f"has two columns called {name!r}", "give each a name of its own")
        return frame
