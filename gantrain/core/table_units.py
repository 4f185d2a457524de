"""The units of a table: standardisation of its columns, and back to rows in their own units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Column:
    """A column of a table, standardised for the networks: x = (value - shift) / scale.

    Attributes:
        name: Its name in the file.
        shift: In the column's unit.
        scale: In the column's unit; positive.
        decimals: Digits written after the decimal point; 0 gives whole numbers, -2 hundreds.
    """

    name: str
    shift: float
    scale: float
    decimals: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.shift) and 0 < self.scale < math.inf and abs(self.decimals) < 1000):
            raise ValueError(f"column {self.name!r} has no valid unit")

    def isclose(self, other: Column) -> bool:
        """Return whether both are the same column up to rounding, as of a mean computed on another machine."""
        # In units of the scale; a mean far from 0 is known less precisely.
        difference, offset = (self.shift - other.shift) / self.scale, self.shift / self.scale
        same_unit = abs(difference) < 1e-6 + 1e-12 * abs(offset) and abs(other.scale / self.scale - 1) < 1e-6
        return self.name == other.name and same_unit

    def standardise(self, values: Tensor) -> Tensor:
        """Return (values - shift) / scale, float64 [N] to float32."""
        # Halved, since the difference of two numbers near 1e308 overflows.
        return ((0.5 * values - 0.5 * self.shift) / (0.5 * self.scale)).float()

    def restore(self, x: Tensor) -> list[float] | list[int]:
        """Return x scale + shift, [N], rounded to the column's decimals."""
        largest = torch.finfo(torch.float64).max
        values = x.double().mul(self.scale).add(self.shift).clamp(-largest, largest).tolist()
        if self.decimals > 0:
            return [round(value, self.decimals) + 0.0 for value in values]  # + 0.0 turns -0.0 into 0.0
        rounded = [round(value, self.decimals) for value in values]
        is_exact = all(abs(value) < 2**53 for value in rounded)  # whole numbers that float64 represents
        return [int(value) for value in rounded] if is_exact else rounded


@dataclass(frozen=True)
class Table:
    """The columns of a table, from which points are written as its rows.

    Attributes:
        columns: One for each coordinate of a point.
        order: Names of columns and label in the order of the file.
        label: The column that holds the class, or None.
        values: The text of each class in that column.
    """

    columns: tuple[Column, ...]
    order: tuple[str, ...]
    label: str | None = None
    values: tuple[str, ...] = ()

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Table:
        """Return the table of plain data. Raises KeyError, TypeError or ValueError when they describe none."""
        columns = tuple(
            Column(str(c["name"]), float(c["shift"]), float(c["scale"]), int(c["decimals"]))
            for c in plain["columns"]
        )
        label = None if plain["label"] is None else str(plain["label"])
        order = tuple(map(str, plain["order"]))
        if sorted(order) != sorted([column.name for column in columns] + ([] if label is None else [label])):
            raise ValueError("a table's columns are not those of its points")
        return cls(columns, order, label, tuple(map(str, plain["values"])))

    def isclose(self, other: Table) -> bool:
        """Return whether both are the same table up to the rounding of its units."""
        if replace(self, columns=()) != replace(other, columns=()) or len(self.columns) != len(other.columns):
            return False
        return all(a.isclose(b) for a, b in zip(self.columns, other.columns, strict=True))

    def restore(self, x: Tensor, y: Tensor | None) -> dict[str, list[Any]]:
        """Return each column in its own unit by name, in order; the label's only where there are labels.

        Args:
            x: Standardised points, shape [N, d].
            y: Their classes, shape [N], or None.
        """
        named: dict[str, list[Any]] = {c.name: c.restore(x[:, i]) for i, c in enumerate(self.columns)}
        if y is not None and self.label is not None:
            named[self.label] = [self.values[c] for c in y.tolist()]
        return {name: named[name] for name in self.order if name in named}
