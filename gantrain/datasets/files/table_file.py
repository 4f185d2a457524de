"""A table's file: what it is, is read from its bytes, not from its name."""

import os
import stat
from pathlib import Path

from gantrain.datasets.files.csv_file import CSVReader
from gantrain.datasets.files.parquet_file import ParquetReader
from gantrain.datasets.files.table_reader import TableReader
from gantrain.errors import ConfigError, DataError


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
