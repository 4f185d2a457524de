"""A table of numbers: columns of a CSV or Parquet file, standardised; samples go back to their units."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from gantrain.core.data_files import DataFiles, named_files
from gantrain.core.spec import Spec
from gantrain.core.table_units import Column, Table
from gantrain.core.text import count
from gantrain.datasets.base import Data, FileDataset, split
from gantrain.datasets.files.csv_file import MARKS
from gantrain.datasets.files.csv_layout import SEPARATORS
from gantrain.datasets.files.table_columns import (
    Columns,
    choose_columns,
    choose_rows,
    listing,
    read_classes,
)
from gantrain.datasets.files.table_file import find_file, open_table
from gantrain.datasets.files.table_reader import TableReader
from gantrain.registry import option, register

MIN_STD = 1e-300  # below it half of a standard deviation is denormal; the column counts as constant
SIGNIFICANT_DIGITS = 7  # of a standard deviation in float32


@register("dataset")
@dataclass
class TableFile(FileDataset):
    """The columns of numbers of a file, each with mean 0 and standard deviation 1.

    Mean and deviation are those of the rows that are used, computed in float64. A constant column keeps the scale 1,
    so its points are all 0 and the generator's deviation from it is in the column's unit. A column with fewer numbers
    than other content is left out unless ``columns`` names it, which is then an error. Rows are counted from 1 below
    the names; those without any content do not count.
    """

    name: str = option("table", "registered name")
    path: str | None = option(None, "a text file as .csv or .tsv, packed by gzip or not, or a .parquet")
    columns: list[str] = option([], "the columns to learn, in this order; empty for all that hold numbers")
    label: str | None = option(
        None, "a column of few distinct values: the classes, as typed, in sorted order"
    )
    header: bool | None = option(
        None, "whether the first line names the columns; null refuses one of numbers"
    )
    separator: str = option("auto", "what separates cells", choices=("auto", *SEPARATORS))
    decimal: str = option(
        "auto", "the decimal mark; the other one groups thousands", choices=("auto", *MARKS)
    )
    bad_rows: str = option("error", "what to do with a row that lacks a number", choices=("error", "skip"))
    holdout: float = option(
        0.2, "fraction held out of training, for the metrics; 0 leaves one out at a time", minimum=0, below=1
    )

    def spec(self) -> Spec:
        return self._content[0]

    @cached_property
    def files(self) -> DataFiles:
        return named_files([("dataset.path", find_file(self.path, "dataset.path"))])

    def load(self, seed: int) -> Data:
        spec, x, y, summary = self._content
        return Data(spec, *split(x, y, self.holdout, seed), summary=summary)

    @cached_property
    def _content(self) -> tuple[Spec, Tensor, Tensor | None, str]:
        """The spec, the points [N, d] float32, their classes [N] or None, and what was taken and left out."""
        table = open_table(self.path, "dataset.path", self.separator, self.decimal, self.header)
        columns = choose_columns(table, self.columns, self.label)
        rows = choose_rows(table, columns.names, self.label, self.bad_rows == "skip")
        # Shift and scale are fitted on all rows, held-out ones included.
        numbers = {name: table.numbers(name)[rows] for name in columns.names}
        units = tuple(measure(name, values) for name, values in numbers.items())
        points = [unit.standardise(torch.from_numpy(numbers[unit.name])) for unit in units]
        y, classes, remarks = (None, (), []) if self.label is None else read_classes(table, self.label, rows)
        # Samples are written with their columns in the order of ``columns``, or else of the file.
        names = columns.names if self.label is None else [*columns.names, self.label]
        used = {*names}
        order = names if self.columns else [name for name in table.names if name in used]
        spec = Spec((len(units),), len(classes), Table(units, tuple(order), self.label, classes))
        return spec, torch.stack(points, 1), y, self._summary(table, columns, rows, classes, remarks)

    def _summary(
        self,
        table: TableReader,
        columns: Columns,
        rows: np.ndarray,
        classes: Sequence[str],
        remarks: list[str],
    ) -> str:
        """Return what was taken and what was left out, and why."""
        taken = f"{rows.sum():,} rows of {count(len(columns.names), 'column')} ({listing(columns.names)})"
        if self.label is not None:
            taken += (
                f", {len(classes)} class{'es' * (len(classes) != 1)} of {self.label} ({listing(classes)})"
            )
        bad = len(rows) - int(rows.sum()) + len(table.uneven)
        left_out = [count(bad, "incomplete row")] * bool(bad)
        left_out += [count(table.empty, "empty row")] * bool(table.empty)
        left_out += [f"{listing(names)} ({kind})" for kind, names in columns.left_out.items()]
        parts = [taken, *table.remarks, *remarks, *([f"left out: {', '.join(left_out)}"] * bool(left_out))]
        return f"{table.path}: {'; '.join(parts)}"


def measure(name: str, values: np.ndarray) -> Column:
    """Return a column with its mean as shift, its standard deviation as scale, and the decimals to write it with.

    The decimals are those of the values (-3 where all are multiples of 1000), but at most as many as
    ``SIGNIFICANT_DIGITS`` digits of the scale need. A constant column has the scale 1.

    Args:
        name: The column's name.
        values: Finite numbers, float64, shape [N].
    """
    largest = float(np.abs(values).max())
    is_constant = values.min() == values.max()
    if is_constant:
        shift, scale = float(values[0]), 1.0
    else:
        _, exponent = math.frexp(largest)
        small = np.ldexp(values, -exponent)  # in [-1, 1], exactly: the square of 1e300 overflows
        shift = math.ldexp(float(small.mean()), exponent)
        scale = math.ldexp(float(small.std()), exponent)
        scale = scale if scale > MIN_STD else 1.0
    # Decimals at which the standard deviation, or a constant itself, has all its significant digits
    finest = SIGNIFICANT_DIGITS - math.floor(math.log10(scale))
    if is_constant and shift:
        finest = max(finest, 16 - math.floor(math.log10(abs(shift))))
    # The fewest decimals that leave every value unchanged
    coarsest = -math.floor(math.log10(largest)) if largest else 0
    decimals = next((d for d in range(coarsest, min(finest, 17)) if _fit_decimals(values, d)), finest)
    return Column(name, shift, scale, decimals)


def _fit_decimals(values: np.ndarray, decimals: int) -> bool:
    """Return whether no value has more decimals; the first 100 decide most cases quickly."""
    with np.errstate(over="ignore", invalid="ignore"):
        return all((np.round(part, decimals) == part).all() for part in (values[:100], values))
