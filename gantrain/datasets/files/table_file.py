"""The columns of a file, each as text or as numbers; what the file is, is read from its bytes, not from its name."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from gantrain.core.text import count
from gantrain.datasets.files.cells import (
    decimal_marks,
    has_mostly_numbers,
    is_missing,
    is_number,
    parse_number,
    parse_numbers,
)
from gantrain.datasets.files.csv_rows import read_rows
from gantrain.errors import ConfigError, DataError

MIN_ROWS = 4  # two for training and two held out
MAX_CELLS = 2**28  # of a Parquet file, which may claim any number in a few bytes
MARKS = {"point": ".", "comma": ","}


def open_table(
    path: str | None,
    key: str = "dataset.path",
    separator: str = "auto",
    decimal: str = "auto",
    header: bool | None = None,
) -> TableReader:
    """Return the reader of a text file or of a Parquet file.

    Args:
        path: The file.
        key: The config key that names it, for messages.
        separator: What separates the cells of a text, or ``auto``.
        decimal: The decimal mark of a text: ``point``, ``comma``, or ``auto``.
        header: Whether the first line of a text names the columns; None refuses one that may be a row.

    Raises:
        ConfigError: Without a path.
        DataError: Without a file, or for one that is no table.
    """
    where = find_file(path, key)
    try:
        with where.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
    except OSError as error:
        raise DataError(
            where, f"cannot be read ({error.strerror})", "give a .csv that you may read"
        ) from error
    return ParquetReader(where) if is_parquet else CSVReader(where, separator, decimal, header)


def find_file(path: str | None, key: str) -> Path:
    """Return the regular file that a key names. Raises ConfigError without a path, DataError without a file."""
    if not path or not path.strip():
        raise ConfigError(key, "names no file", f"set {key}=FILE.csv")
    where, remedy = Path(os.path.expanduser(path)), f"set {key} to a .csv or .parquet file"
    try:
        mode = where.stat().st_mode
    except (
        FileNotFoundError,
        NotADirectoryError,
        ValueError,
    ) as error:  # a path with a zero byte is a ValueError
        raise DataError(where, "there is no such file", remedy) from error
    except OSError as error:
        raise DataError(where, f"cannot be read ({error.strerror})", remedy) from error
    if not stat.S_ISREG(mode):  # a pipe would be waited for
        raise DataError(where, "is a folder" if stat.S_ISDIR(mode) else "is not a file", remedy)
    return where


class TableReader(ABC):
    """A table on disk.

    Attributes:
        path: The file.
        names: Its columns in the order of the file; an empty name where it has none.
        positions: Where they are in the file, from 0.
        count: Its rows.
        remarks: How it was read, where that is not as comma-separated text.
        empty: Rows without content, which were left out.
        uneven: Lines of rows with more or fewer cells than names, and their counts, which were left out.
    """

    def __init__(self, path: Path, names: list[str], rows: int):
        self.path, self.names, self.count = path, names, rows
        self.positions = list(range(len(names)))
        self.remarks: list[str] = []
        self.empty = 0
        self.uneven: list[tuple[int, int]] = []
        self._numbers: dict[str, np.ndarray] = {}

    @abstractmethod
    def raw_texts(self, name: str) -> list[str]:
        """Return the cells of a column as they are in the file."""

    def texts(self, name: str) -> list[str]:
        """Return the cells of a column as text without outer blanks."""
        return [text.strip() for text in self.raw_texts(name)]

    def numbers(self, name: str) -> np.ndarray:
        """Return the cells of a column as float64 [N], NaN for one that is no finite number."""
        if name not in self._numbers:
            self._numbers[name] = self.read_numbers(name)
        return self._numbers[name]

    @abstractmethod
    def read_numbers(self, name: str) -> np.ndarray:
        """Return what ``numbers`` keeps."""

    def is_numeric(self, name: str) -> bool:
        """Return whether at least half of the cells of a column that hold anything are numbers."""
        count = int(np.isfinite(self.numbers(name)).sum())
        if 2 * count >= self.count:
            return count > 0
        return 0 < sum(not is_missing(text) for text in self.raw_texts(name)) <= 2 * count

    def cell_error(self, name: str, row: int, why: str, remedy: str) -> DataError:
        """Return the error for one cell, its row counted from 0."""
        text = self.texts(name)[row]
        content = repr(text if len(text) <= 40 else text[:40] + "...") if text else "an empty cell"
        what = f"column {name!r} has {content} in row {row + 1}{f', {why}' if why and text else ''}"
        return DataError(self.path, what, remedy)

    def uneven_error(self, remedy: str) -> DataError:
        """Return the error for the first row with more or fewer cells than names."""
        line, cells = self.uneven[0]
        what = f"line {line} has {count(cells, 'cell')} and the table {count(len(self.names), 'column')}"
        return DataError(self.path, what, remedy)

    def check_names(self) -> None:
        """Raise DataError when two columns have one name."""
        if repeated := {name for i, name in enumerate(self.names) if name and name in self.names[:i]}:
            what = f"has two columns called {min(repeated)!r}"
            raise DataError(self.path, what, "give each a different name")


class CSVReader(TableReader):
    """Text whose cells are separated by commas, semicolons, tabs, bars or blanks, packed by gzip or not."""

    def __init__(
        self, path: Path, separator: str = "auto", decimal: str = "auto", header: bool | None = None
    ):
        rows = read_rows(path, separator, header is not False)
        super().__init__(path, rows.names, len(rows.columns[0]))
        self.remarks, self.empty, self.uneven = rows.remarks, rows.empty, rows.uneven
        self.positions, self._columns = rows.positions, rows.columns
        if len(self.uneven) > self.count:
            is_short = self.uneven[0][1] < len(self.names)
            remedy = (
                "a cell for each name in every row"
                if is_short
                else "a line that names every column at its start"
            )
            raise self.uneven_error(f"give the file {remedy}")
        self.mark = MARKS.get(decimal) or self._find_mark()
        if self.mark == ",":
            self.remarks = [*self.remarks, "decimal commas"]
        if header is None:
            self._check_header()
        self.check_names()

    def raw_texts(self, name: str) -> list[str]:
        return self._columns[self.names.index(name)]

    def read_numbers(self, name: str) -> np.ndarray:
        return parse_numbers(self.raw_texts(name), self.mark)

    def _find_mark(self) -> str:
        """Return the decimal mark. Raises DataError where the cells prove none, or both."""
        with_commas = [column for column in self._columns if "," in "".join(column)]
        if not any(has_mostly_numbers({*column}) for column in with_commas):
            return "."
        numeric = [cells for cells in map(set, self._columns) if has_mostly_numbers(cells)]
        found = decimal_marks(text.strip() for cells in numeric for text in sorted(cells))
        if "," in found and "." in found:
            what = f"writes numbers as {found[',']!r} and as {found['.']!r}: its decimal mark is not clear"
            raise DataError(self.path, what, "write all alike, or set dataset.decimal=point or comma")
        if "?" in found and "," not in found and "." not in found:
            what = f"writes numbers as {found['?']!r}, whose comma may be decimal or group thousands"
            raise DataError(self.path, what, "set dataset.decimal=comma, or dataset.decimal=point")
        return "," if "," in found else "."

    def _check_header(self) -> None:
        """Raise DataError when the first line may be a row: a name is a number above a column of numbers."""
        suspects = [
            i
            for i, name in enumerate(self.names)
            if is_number(name, self.mark)
            and (not self.count or has_mostly_numbers(self._columns[i], self.mark))
        ]
        # Years and counts are names.
        steps = np.diff([parse_number(self.names[i], self.mark) for i in suspects])
        if not suspects or (len(suspects) > 2 and steps[0] > 0 and (steps == steps[0]).all()):
            return
        name, column = self.names[suspects[0]], self.positions[suspects[0]] + 1
        what = f"has the number {name!r} in its first line, above the numbers of column {column}"
        if self.count + 1 < MIN_ROWS:
            raise DataError(self.path, what, f"name the columns, and give at least {MIN_ROWS} rows")
        remedy = "set dataset.header=false if that line is a row, dataset.header=true if it holds names"
        raise DataError(self.path, what, remedy)


class ParquetReader(TableReader):
    """A Parquet file, by pyarrow; what pandas wrote about it there is not used."""

    def __init__(self, path: Path):
        try:
            import pyarrow  # type: ignore[import-not-found]
            from pyarrow import parquet
        except ImportError as error:
            what = "is Parquet, and pyarrow is not installed"
            raise DataError(path, what, "pip install 'gantrain[parquet]', or give a .csv") from error
        try:
            with parquet.ParquetFile(path) as file:
                rows, columns = file.metadata.num_rows, file.metadata.num_columns
                if rows * columns > MAX_CELLS:
                    what = f"has {rows:,} rows of {columns:,} columns, more than {MAX_CELLS:,} cells"
                    raise DataError(path, what, "give a part of it")
                self._table: Any = file.read()
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            what = f"cannot be read as Parquet ({' '.join(str(error).split())})"
            raise DataError(path, what, "write it again, or give a .csv") from error
        # An index without a name, as pandas writes it
        names = ["" if name.startswith("__index_level_") else name for name in self._table.column_names]
        super().__init__(path, names, self._table.num_rows)
        self.check_names()

    def _column(self, name: str) -> Any:
        return self._table.column(self.names.index(name))

    def raw_texts(self, name: str) -> list[str]:
        return [
            "" if value is None or value != value else str(value) for value in self._column(name).to_pylist()
        ]

    def read_numbers(self, name: str) -> np.ndarray:
        from pyarrow import types

        column = self._column(name)
        if types.is_integer(column.type) or types.is_floating(column.type):
            values = column.to_pandas().to_numpy(dtype=np.float64, na_value=np.nan).copy()
            values[np.isinf(values)] = np.nan
            return values
        return parse_numbers(self.raw_texts(name))
