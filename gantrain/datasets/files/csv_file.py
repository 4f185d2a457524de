"""The columns of a text file: its decimal mark, and whether its first line names them."""

from pathlib import Path

import numpy as np

from gantrain.datasets.files.cells import (
    decimal_marks,
    has_mostly_numbers,
    is_number,
    parse_number,
    parse_numbers,
)
from gantrain.datasets.files.csv_rows import read_rows
from gantrain.datasets.files.table_reader import MIN_ROWS, TableReader
from gantrain.errors import DataError

MARKS = {"point": ".", "comma": ","}


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
        return self._columns[self._index[name]]

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
