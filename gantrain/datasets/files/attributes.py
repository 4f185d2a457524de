"""The attributes of the images of a folder, from a CSV: numbers that condition an image in place of a class."""

import os

import numpy as np
import torch
from torch import Tensor

from gantrain.core.spec import ConditionSpec
from gantrain.datasets.files.table_file import open_table
from gantrain.datasets.files.table_reader import TableReader
from gantrain.errors import DataError

EXAMPLES = 8  # rows of a sample grid


def read_attributes(path: str, root: str, names: list[str]) -> tuple[Tensor, ConditionSpec]:
    """Return the attributes of each image, float32 [N, K], and their names.

    The file's first line names its columns. The first column holds paths below the root, whatever its name; every
    other cell is a finite number, which the networks get unscaled. Rows of missing images are ignored.

    Args:
        path: A table, as ``open_table`` reads it, with a decimal point.
        root: The folder of images, for messages.
        names: The images' paths below it.

    Raises:
        ConfigError: When the path is blank.
        DataError: For a file that cannot be read as such a table, or has no row for an image.
    """
    file = open_table(path, "dataset.attributes", decimal="point", header=True)
    first, *columns = file.names
    if os.path.normpath(first) in names:
        raise DataError(file.path, "has an image in its first line", "put a line with the names above it")
    if not columns:
        raise DataError(file.path, "has no column of numbers next to the paths", "add one for each attribute")
    if "" in columns:
        raise DataError(file.path, f"column {columns.index('') + 2} has no name", "name it in the first line")
    if file.uneven:
        raise file.uneven_error("fix the line")
    if not file.count:
        raise DataError(file.path, "has no row below the names", "add one for each image")
    # The row of each path, written as the images' own are
    rows: dict[str, int] = {}
    for row, text in enumerate(file.texts(first)):
        if not text:
            raise file.cell_error(first, row, "", "name the image, or leave the row out")
        earlier = rows.setdefault(os.path.normpath(text), row)
        if earlier != row:
            raise file.cell_error(first, row, f"as row {earlier + 1} has", "give each image one row")
    if missing := [name for name in names if name not in rows]:
        what = f"has no row for {os.path.join(root, missing[0])}"
        remedy = f"add one whose {first or 'first cell'} is {missing[0]}, or move the image away"
        raise DataError(file.path, what, remedy)
    # [rows, K] to [N, K], in the order of the images
    table = np.stack([_read_column(file, column) for column in columns], 1)
    y = table[[rows[name] for name in names]]
    distinct = list(dict.fromkeys(map(tuple, y.tolist())))
    return torch.from_numpy(y), ConditionSpec(tuple(columns), tuple(distinct[:EXAMPLES]))


def _read_column(file: TableReader, column: str) -> np.ndarray:
    """Return a column as float32 [rows]. Raises DataError for a cell that is not a finite float32."""
    numbers = file.numbers(column)
    with np.errstate(over="ignore"):
        narrow = numbers.astype(np.float32)
    if not np.isfinite(narrow).all():
        row = int(np.isfinite(narrow).argmin())
        if np.isfinite(numbers[row]):
            raise file.cell_error(column, row, "which float32 cannot hold", "scale the column to about 1")
        raise file.cell_error(column, row, "which is no finite number", "fix it, or leave the column out")
    return narrow
