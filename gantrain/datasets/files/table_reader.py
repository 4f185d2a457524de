"""A table on disk, its columns as text or as numbers; errors name file, column and row."""

from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

import numpy as np

from gantrain.core.text import count
from gantrain.datasets.files.cells import is_missing
from gantrain.errors import DataError

MIN_ROWS = 4  # two for training and two held out


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
        self._index = {name: i for i, name in reversed([*enumerate(names)])}  # the first of a name
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
        repeated = [name for name, number in Counter(self.names).items() if name and number > 1]
        if repeated:
            raise DataError(
                self.path, f"has two columns called {repeated[0]!r}", "give each a different name"
            )
