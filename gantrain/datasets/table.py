"""A table of numbers: columns of a CSV or Parquet file, standardised; samples go back to their units."""

import logging
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gantrain.core.data_files import DataFiles, named_files
from gantrain.core.spec import Spec
from gantrain.core.table_units import Column, Table
from gantrain.datasets.base import Data, FileDataset, split
from gantrain.datasets.files.table_file import TableReader, open_table
from gantrain.errors import ConfigError, DataError, suggest
from gantrain.registry import option, register

log = logging.getLogger("gantrain")

MIN_ROWS = 4  # two for training and two held out
MIN_STD = 1e-300  # below it half of a standard deviation is denormal; the column counts as constant
SIGNIFICANT_DIGITS = 7  # of a standard deviation in float32


@register("dataset")
@dataclass
class TableFile(FileDataset):
    """The numeric columns of a file with a first row of names, each with mean 0 and standard deviation 1.

    Mean and deviation are those of the whole file, computed in float64. A constant column keeps the scale 1, so its
    points are all 0 and the generator's deviation from it is in the column's unit. A column without a single number
    is left out unless ``columns`` names it; one that mixes numbers and other text is an error. Rows are counted from
    1 below the names.
    """

    name: str = option("table", "registered name")
    path: str | None = option(None, "a .csv in UTF-8, or a .parquet; its first row names the columns")
    columns: list[str] = option([], "the columns to learn, in this order; empty for all that hold numbers")
    label: str | None = option(None, "a column of few distinct values: the classes, in sorted order")
    holdout: float = option(0.2, "fraction held out of training, for every estimate", above=0, below=1)

    def spec(self) -> Spec:
        return self._content[0]

    @cached_property
    def files(self) -> DataFiles:
        return named_files([("dataset.path", Path(self.path or "").expanduser())])

    def load(self, seed: int) -> Data:
        spec, x, y, skipped = self._content
        if skipped:
            log.warning("%s: left out, since they hold no numbers: %s", self.path, ", ".join(skipped))
        return Data(spec, *split(x, y, self.holdout, seed))

    @cached_property
    def _content(self) -> tuple[Spec, Tensor, Tensor | None, list[str]]:
        """The spec, the points [N, d] float32, their classes [N] or None, and the columns left out."""
        file = open_table(self.path)
        frame = file.read_frame()
        if len(frame) < MIN_ROWS:
            what = f"has {len(frame)} row{'s' * (len(frame) != 1)} of data"
            raise DataError(file.path, what, f"give at least {MIN_ROWS}")
        selected = self._select_columns(file, list(frame.columns))
        columns = {name: file.read_numbers(frame, name, bool(self.columns)) for name in selected}
        numbers = {name: values for name, values in columns.items() if values is not None}
        if not selected:
            raise DataError(file.path, "has no column but the label", "give a table of numbers")
        if not numbers:
            raise file.number_error(frame, selected[0])
        # Shift and scale are fitted on all rows, held-out ones included.
        units = tuple(measure(name, values) for name, values in numbers.items())
        points = [unit.standardise(torch.tensor(numbers[unit.name])) for unit in units]
        y, values = file.read_classes(frame, self.label) if self.label is not None else (None, ())
        # Samples are written with their columns in the order of ``columns``, or else of the file.
        names = [*numbers] if self.label is None else [*numbers, self.label]
        order = names if self.columns else [name for name in frame.columns if name in names]
        spec = Spec((len(units),), len(values), Table(units, tuple(order), self.label, values))
        return spec, torch.stack(points, 1), y, [name for name in selected if name not in numbers]

    def _select_columns(self, file: TableReader, names: list[str]) -> list[str]:
        """Return the columns to read. Raises for one that is missing or named twice."""
        for key, column in [*(("columns", c) for c in self.columns), ("label", self.label)]:
            if column is not None and column not in names:
                what = f"has no column {column!r} (dataset.{key})"
                raise DataError(file.path, what, suggest(column, names))
        repeated = [c for i, c in enumerate(self.columns) if c in self.columns[:i] or c == self.label]
        if repeated:
            what = f"{repeated[0]!r} is named twice or is the label"
            raise ConfigError("dataset.columns", what, "name it once")
        selected = self.columns or [name for name in names if name != self.label]
        if "" in selected:  # pandas writes a table's index in a column without a name
            what = f"column {names.index('') + 1} has no name"
            raise DataError(file.path, what, "name it, or choose columns: dataset.columns=[a,b]")
        return selected


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
