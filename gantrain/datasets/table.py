"""A table of numbers: columns of a CSV or Parquet file, standardised, and written back in their own units."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.core.table_units import Column, Table
from gantrain.datasets.base import Data, Dataset, split
from gantrain.datasets.files.table_file import File, open_table
from gantrain.errors import ConfigError, DataError, suggest
from gantrain.registry import option, register

log = logging.getLogger("gantrain")

FEWEST_ROWS = 4  # two to train on and two held out
TINY = 1e-300  # a spread below this is none: half of it must be a number
DIGITS = 7  # significant digits of a standard deviation that float32 networks tell apart


@dataclass(frozen=True)
class _Read:
    """A file that was read: points [N, d] float32, classes [N] or None, the units, the columns left out."""

    x: Tensor
    y: Tensor | None
    table: Table
    left_out: list[str]


@register("dataset")
@dataclass
class TableFile(Dataset):
    """The numeric columns of a file with a first row of names, each with mean 0 and standard deviation 1.

    Mean and deviation are those of the whole file, taken in float64. A column that is constant keeps the scale 1, so
    its points are all 0 and what the generator adds is in its own unit. A column none of whose cells is a number is
    left out unless it is asked for; one that holds numbers and anything else is an error. Rows are counted from 1
    below the names.
    """

    name: str = option("table", "registered name")
    path: str | None = option(None, "a .csv in UTF-8, or a .parquet; its first row names the columns")
    columns: list[str] = option([], "the columns to learn, in this order; empty is all that hold numbers")
    label: str | None = option(
        None, "a column of few distinct values, which become the classes in sorted order"
    )
    holdout: float = option(0.2, "share of the rows kept from training, for every estimate", above=0, below=1)

    def spec(self) -> Spec:
        """Return the number of columns and classes, and the units. Reads the file. Raises DataError, ConfigError."""
        table = self._read.table
        return Spec((len(table.columns),), len(table.values), table)

    def load(self, seed: int) -> Data:
        """Return the rows, split by ``seed``. Raises DataError, ConfigError."""
        read = self._read
        if read.left_out:
            log.warning("%s: left out, since they hold no numbers: %s", self.path, ", ".join(read.left_out))
        train, held = split(read.x, read.y, self.holdout, seed)
        return Data(self.spec(), train, held)

    @cached_property
    def _read(self) -> _Read:
        file = open_table(self.path)
        frame = file.frame()
        if len(frame) < FEWEST_ROWS:
            what = f"has {len(frame)} row{'s' * (len(frame) != 1)} of data"
            raise DataError(file.path, what, f"give at least {FEWEST_ROWS}")
        chosen = self._chosen(file, list(frame.columns))
        numbers: dict[str, np.ndarray] = {}
        for name in chosen:
            found = file.numbers(frame, name, asked=bool(self.columns))
            if found is not None:
                numbers[name] = found
        if not numbers:
            raise (
                file.not_a_number(frame, chosen[0])
                if chosen
                else DataError(file.path, "has no column but the label", "give a table of numbers")
            )
        units = tuple(measure(name, values) for name, values in numbers.items())
        points = [unit.standardise(torch.tensor(numbers[unit.name])) for unit in units]
        y, values = file.classes(frame, self.label) if self.label is not None else (None, ())
        names = [*numbers] if self.label is None else [*numbers, self.label]
        order = names if self.columns else [name for name in frame.columns if name in names]
        table = Table(units, tuple(order), self.label, values)
        return _Read(torch.stack(points, 1), y, table, [name for name in chosen if name not in numbers])

    def _chosen(self, file: File, names: list[str]) -> list[str]:
        """Return the columns to look at. Raises for one that is not there, or is there for two things."""
        for key, wanted in [*(("columns", c) for c in self.columns), ("label", self.label)]:
            if wanted is not None and wanted not in names:
                raise DataError(
                    file.path, f"has no column {wanted!r} (dataset.{key})", suggest(wanted, names)
                )
        twice = [c for i, c in enumerate(self.columns) if c in self.columns[:i] or c == self.label]
        if twice:
            raise ConfigError(
                "dataset.columns", f"{twice[0]!r} is there twice or is the label", "name it once"
            )
        chosen = self.columns or [name for name in names if name != self.label]
        if "" in chosen:  # as a table is that was written with its index
            what = f"column {names.index('') + 1} has no name"
            raise DataError(file.path, what, "name it, or choose columns: dataset.columns=[a,b]")
        return list(chosen)


def measure(name: str, values: np.ndarray) -> Column:
    """Return a column's mean as shift, its standard deviation as scale, and the decimals that it is written with.

    The decimals are those that the values have (-3 where all of them are thousands), or, where they have more, those
    that ``DIGITS`` significant digits of the scale need. A constant column has the scale 1.

    Args:
        name: The column's name.
        values: Finite numbers, float64, shape [N].
    """
    _, exponent = math.frexp(float(np.abs(values).max()))
    small = np.ldexp(values, -exponent)  # in [-1, 1], exact: squares of 1e300 do not fit a float64
    if values.min() == values.max():
        shift, scale = float(values[0]), 1.0
    else:
        shift = math.ldexp(float(small.mean()), exponent)
        scale = math.ldexp(float(small.std()), exponent)
        scale = scale if scale > TINY else 1.0
    finest = DIGITS - math.floor(math.log10(scale))
    if values.min() == values.max() and shift:
        finest = max(finest, 16 - math.floor(math.log10(abs(shift))))
    largest = float(np.abs(values).max())
    coarsest = -math.floor(math.log10(largest)) if largest else 0
    own = next((d for d in range(coarsest, min(finest, 17)) if _has(values, d)), finest)
    return Column(name, shift, scale, own)


def _has(values: np.ndarray, decimals: int) -> bool:
    """Say whether no value has more decimals; a few are asked first, which is quicker."""
    with np.errstate(over="ignore", invalid="ignore"):
        return all((np.round(part, decimals) == part).all() for part in (values[:100], values))
