"""Sets of points that belong to no run: the rows of a table, or of a file of arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gantrain.core.text import count
from gantrain.datasets.base import Split
from gantrain.datasets.files.image_arrays import load_arrays
from gantrain.datasets.files.sample_set import Samples
from gantrain.datasets.files.table_columns import choose_columns, choose_rows, listing, read_classes
from gantrain.datasets.files.table_file import open_table
from gantrain.datasets.files.table_reader import MIN_ROWS
from gantrain.datasets.table import TableFile
from gantrain.errors import DataError

TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq", ".csv.gz", ".tsv.gz", ".txt.gz")
ARRAYS = (".npy", ".npz")
MEMORY = 8.0  # GiB that an .npz may take


@dataclass(frozen=True)
class Points:
    """Points as they are in a file.

    Attributes:
        x: Float64, [N, d].
        y: Indices into ``classes`` [N], or None.
        classes: The labels as text.
        names: Of the columns of a table; none of an array.
        description: Their number and what they were read from.
    """

    x: np.ndarray
    y: Tensor | None
    classes: tuple[str, ...]
    names: tuple[str, ...]
    description: str


def holds_points(root: str) -> bool:
    """Return whether a path is a table, or a file of arrays without pictures. Raises DataError as ``load_arrays``."""
    path, name = Path(root).expanduser(), root.lower()
    if not path.is_file():
        return False
    if name.endswith(ARRAYS):
        return all(array.ndim < 3 for array in load_arrays(path, MEMORY).values())
    return name.endswith(TABLES)


def read_points(root: str, options: TableFile) -> Points:
    """Return the points of a table or of a file of arrays.

    Args:
        root: A ``.csv`` or another text, a ``.parquet``, an ``.npz`` or an ``.npy``.
        options: How a table is read; its path does not count.

    Raises:
        DataError: When it cannot be read, or holds something else.
    """
    path = Path(root).expanduser()
    return _of_arrays(path) if root.lower().endswith(ARRAYS) else _of_table(root, options)


def _of_table(root: str, options: TableFile) -> Points:
    table = open_table(root, "thermometer", options.separator, options.decimal, options.header)
    columns = choose_columns(table, options.columns, options.label)
    rows = choose_rows(table, columns.names, options.label, options.bad_rows == "skip")
    x = np.stack([table.numbers(name)[rows] for name in columns.names], 1)
    y, classes = None, tuple[str, ...]()
    if options.label is not None:
        y, classes, _ = read_classes(table, options.label, rows)
    what = f"{len(x):,} rows of {count(len(columns.names), 'column')} ({listing(columns.names)})"
    if columns.left_out:
        others = [f"{listing(names)} ({kind})" for kind, names in columns.left_out.items()]
        what += f"; left out: {', '.join(others)}"
    return Points(x, y, classes, tuple(columns.names), what)


def _of_arrays(path: Path) -> Points:
    """Return the one array of two dimensions, or the only one of one; another of N whole numbers are labels."""
    arrays = {name: array for name, array in load_arrays(path, MEMORY).items() if array.dtype.kind in "biuf"}
    tables = [name for name, array in arrays.items() if array.ndim == 2]
    if not tables:
        tables = [name for name, array in arrays.items() if array.ndim == 1]
    if len(tables) != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no numbers"
        raise DataError(path, f"holds {found}", "give one array of points, N x d")
    x = np.array(arrays[tables[0]], np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if len(x) < MIN_ROWS or not x.shape[1]:
        raise DataError(
            path, f"holds {x.shape[0]} points of {x.shape[1]} numbers", f"give {MIN_ROWS} at least"
        )
    if bad := int((~np.isfinite(x)).any(1).sum()):
        raise DataError(
            path, f"{bad:,} of {len(x):,} rows hold a number that is not finite", "leave such rows out"
        )
    labels = [array for name, array in arrays.items() if name not in tables and array.shape == (len(x),)]
    y, classes = None, tuple[str, ...]()
    if len(labels) == 1 and labels[0].dtype.kind in "iu":
        kinds, places = np.unique(labels[0], return_inverse=True)
        y, classes = torch.from_numpy(places), tuple(str(int(kind)) for kind in kinds)
    return Points(x, y, classes, (), f"{len(x):,} points of {count(x.shape[1], 'number')}")


def as_samples(points: Points, scale: Points) -> Samples:
    """Return points in standard deviations of another set, as ``evaluate_pictures`` compares them."""
    std = scale.x.std(0)
    x = (points.x - scale.x.mean(0)) / np.where(std > 0, std, 1.0)
    has_classes = points.y is not None and len(scale.classes) > 1
    split = Split(torch.from_numpy(np.clip(x, -1e6, 1e6)).float(), points.y if has_classes else None)
    return Samples(split, points.classes if has_classes else (), points.description)


def read_pair(fake: str, real: str, options: TableFile) -> tuple[Points, Points]:
    """Return the points at two paths, of the same columns. Raises DataError as ``read_points``, and for others."""
    of_real = read_points(real, options)
    of_fake = read_points(fake, replace(options, columns=[*of_real.names]) if of_real.names else options)
    widths = of_fake.x.shape[1], of_real.x.shape[1]
    if widths[0] != widths[1]:
        what = f"has points of {widths[0]} numbers, and {real} of {widths[1]}"
        raise DataError(fake, what, "give both the same columns")
    return of_fake, of_real
