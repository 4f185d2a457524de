"""The columns of a Parquet file."""

from pathlib import Path
from typing import Any

import numpy as np

from gantrain.datasets.files.cells import parse_numbers
from gantrain.datasets.files.table_reader import TableReader
from gantrain.errors import DataError

MAX_CELLS = 2**28  # of a Parquet file, which may claim any number in a few bytes


class ParquetReader(TableReader):
    """A Parquet file, by pyarrow; what pandas wrote about it there is not used."""

    def __init__(self, path: Path):
        try:
            import pyarrow
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
        return self._table.column(self._index[name])

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
