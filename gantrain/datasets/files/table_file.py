"""The columns of a CSV or Parquet file; errors name file, column and row."""

from __future__ import annotations

import csv
import math
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrain.errors import ConfigError, DataError

MAX_CLASSES = 100  # distinct values of a label


def open_table(path: str | None) -> TableReader:
    """Return the reader for a file's suffix. Raises ConfigError without a path, DataError without a file."""
    if not path:
        raise ConfigError("dataset.path", "names no file", "set dataset.path=FILE.csv")
    where = Path(path).expanduser()
    if where.is_dir():
        raise DataError(where, "is a folder", "set dataset.path to a .csv or .parquet file in it")
    if not where.is_file():
        raise DataError(where, "there is no such file", "set dataset.path to a .csv or .parquet file")
    return ParquetReader(where) if where.suffix.lower() in (".parquet", ".pq") else CSVReader(where)


class TableReader(ABC):
    """A table on disk."""

    def __init__(self, path: Path):
        self.path = path

    @abstractmethod
    def read_frame(self) -> Any:
        """Return the file as a pandas frame with named columns. Raises DataError."""

    def read_texts(self, frame: Any, name: str) -> list[str]:
        """Return the cells of a column as text."""
        return ["" if value is None or value != value else str(value) for value in frame[name].tolist()]

    def read_numbers(self, frame: Any, name: str, required: bool) -> np.ndarray | None:
        """Return a column as finite float64 [N]; None for one without a number, unless ``required``."""
        if frame[name].dtype.kind in "iuf":
            values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            values = _parse_floats(self.read_texts(frame, name))
            if not required and np.isnan(values).all():
                return None
        if not np.isfinite(values).all():
            raise self.number_error(frame, name)
        return values

    def number_error(self, frame: Any, name: str) -> DataError:
        """Return the error for the first cell of a column that is not a finite number."""
        texts = self.read_texts(frame, name)
        row = int(np.isfinite(_parse_floats(texts)).argmin())
        remedy = "fix it, or leave the column out"
        return self.cell_error(name, texts[row], row, "which is no finite number", remedy)

    def cell_error(self, name: str, text: str, row: int, why: str, remedy: str) -> DataError:
        """Return the error for one cell, its row counted from 0."""
        content, why = repr(text if len(text) <= 40 else text[:40] + "..."), f", {why}"
        if not text.strip():
            content, why = "an empty cell", ""
        return DataError(self.path, f"column {name!r} has {content} in row {row + 1}{why}", remedy)

    def read_classes(self, frame: Any, name: str) -> tuple[Tensor, tuple[str, ...]]:
        """Return the class of each row, int64 [N], and the classes' texts in sorted order."""
        texts = self.read_texts(frame, name)
        for row, text in enumerate(texts):
            if not text.strip():
                raise self.cell_error(name, text, row, "", "label every row, or leave the row out")
        # Numbers are compared as numbers: 1 and 1.0 are one class, named as it first occurs.
        numbers = _parse_floats(texts)
        keys: list[Any] = numbers.tolist() if np.isfinite(numbers).all() else texts
        names = dict(sorted(zip(reversed(keys), reversed(texts), strict=True), key=lambda pair: pair[0]))
        if len(names) > MAX_CLASSES:
            what = f"column {name!r} has {len(names):,} distinct values, too many for classes"
            raise DataError(self.path, what, f"give a dataset.label of at most {MAX_CLASSES}, or none")
        index = {key: i for i, key in enumerate(names)}
        return torch.tensor([index[key] for key in keys]), tuple(names.values())


def _parse_floats(texts: list[str]) -> np.ndarray:
    """Return float(text) of each, float64 [N]; NaN for a text that is not a number."""

    def parse(text: str) -> float:
        try:
            return math.nan if "_" in text else float(text)  # Python reads 1_000 as a number
        except ValueError:
            return math.nan

    return np.array([parse(text) for text in texts], dtype=np.float64)


class CSVReader(TableReader):
    """Comma-separated text in UTF-8, with or without a byte order mark."""

    def read_frame(self) -> Any:
        import pandas

        names = self._read_names()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pandas.errors.ParserWarning)
                frame = self._read_csv()
        except (pandas.errors.ParserError, pandas.errors.ParserWarning) as error:
            reason = " ".join(str(error).split())
            if match := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", reason):
                what = f"line {match[2]} has {match[3]} cells and the first line names {match[1]} columns"
                raise DataError(self.path, what, "fix the line") from error
            what = f"cannot be read as CSV ({reason})"
            raise DataError(self.path, what, "fix it, or save it again") from error
        if not isinstance(
            frame.index, pandas.RangeIndex
        ):  # pandas takes surplus first cells for names of rows
            what = f"its rows have more cells than the {len(names)} columns that the first line names"
            raise DataError(self.path, what, "name every column")
        frame.columns = names
        return frame

    def _read_csv(self, **options: Any) -> Any:
        import pandas

        # Only an empty cell is a missing number.
        options = dict(encoding="utf-8-sig", compression=None, low_memory=False, na_values=[""]) | options
        if tuple(map(int, pandas.__version__.split(".")[:2])) < (3, 1):
            options["float_precision"] = "round_trip"  # parse as Python does, the default of later versions
        return pandas.read_csv(self.path, keep_default_na=False, **options)

    def read_texts(self, frame: Any, name: str) -> list[str]:
        # Read again, since the frame holds parsed numbers: 1 and 1.0 are the same there.
        number = list(frame.columns).index(name)
        column = self._read_csv(usecols=[number], header=0, dtype=str, na_filter=False, skip_blank_lines=True)
        return [text if isinstance(text, str) else "" for text in column.iloc[:, 0].tolist()]

    def _read_names(self) -> list[str]:
        """Return the names in the first line. Raises DataError for a file that cannot be a table."""
        lines = self._read_lines()
        try:
            first = next(csv.reader(lines), None)
            for _ in lines:  # the rest must be text too
                pass
        except (OSError, csv.Error) as error:
            what = f"cannot be read ({getattr(error, 'strerror', None) or error})"
            raise DataError(self.path, what, "give a .csv that you may read") from error
        if first is None:
            raise DataError(self.path, "is empty", "give a first row of names, then numbers")
        names = [name.strip() for name in first]
        if repeated := [name for i, name in enumerate(names) if name and name in names[:i]]:
            what = f"has two columns called {repeated[0]!r}"
            raise DataError(self.path, what, "give each a different name")
        # A first line of numbers means a table without a header, unless they count up, as 0,1,2 or years do.
        numbers = _parse_floats(names)
        is_count = bool((numbers == np.rint(numbers)).all() and (np.diff(numbers) > 0).all())
        if np.isfinite(numbers).all() and not is_count:
            raise DataError(self.path, "has numbers in its first line", "put a line with the names above it")
        return names

    def _read_lines(self) -> Iterator[str]:
        """Yield the lines of the file that are not blank. Raises DataError for one that is not UTF-8 text."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    what = f"is not UTF-8 text (byte 0x{line[error.start]:02x} in line {number})"
                    raise DataError(self.path, what, "save it as CSV in UTF-8") from error
                if "\0" in text:
                    what = f"is not text (a zero byte in line {number})"
                    raise DataError(self.path, what, "save it as CSV")
                if text.strip():
                    yield text


class ParquetReader(TableReader):
    """A Parquet file, by pyarrow."""

    def read_frame(self) -> Any:
        import pandas

        try:
            frame = pandas.read_parquet(self.path, engine="pyarrow")
        except ImportError as error:
            what = "is Parquet, and pyarrow is not installed"
            raise DataError(self.path, what, "pip install 'gantrain[parquet]', or give a .csv") from error
        except (OSError, ValueError) as error:  # pyarrow's own errors are these
            what = f"cannot be read as Parquet ({' '.join(str(error).split())})"
            raise DataError(self.path, what, "write it again, or give a .csv") from error
        frame.columns = [str(name) for name in frame.columns]
        if not frame.columns.is_unique:
            name = frame.columns[frame.columns.duplicated()][0]
            raise DataError(self.path, f"has two columns called {name!r}", "give each a different name")
        return frame
