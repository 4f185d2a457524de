"""The units of a table: its columns, and how rows of numbers become the table again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Column:
    """A column of a table, and the way from its own unit to the networks' and back.

    Attributes:
        name: What the file calls it.
        shift: What stands at 0 for the networks, in the column's unit.
        scale: What stands at 1 above that, in the column's unit; positive.
        decimals: Digits after the decimal point that are written; 0 or less is whole numbers, -2 is hundreds.
    """

    name: str
    shift: float
    scale: float
    decimals: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.shift) and 0 < self.scale < math.inf and abs(self.decimals) < 1000):
            raise ValueError(f"column {self.name!r} has no unit to go back to")

    def isclose(self, other: Column) -> bool:
        """Say whether both are one column, but for the last digits of its unit."""
        moved, where = (self.shift - other.shift) / self.scale, self.shift / self.scale
        same_unit = abs(moved) < 1e-6 + 1e-12 * abs(where) and abs(other.scale / self.scale - 1) < 1e-6
        return self.name == other.name and same_unit

    def standardise(self, values: Tensor) -> Tensor:
        """Return float64 values [N] in the networks' unit, float32."""
        # Halves, since the difference of two numbers of 1e308 is not a number.
        return ((0.5 * values - 0.5 * self.shift) / (0.5 * self.scale)).float()

    def restore(self, x: Tensor) -> list[float] | list[int]:
        """Return the networks' numbers [N] in the column's own unit, rounded to its decimals."""
        most = torch.finfo(torch.float64).max
        values = x.double().mul(self.scale).add(self.shift).clamp(-most, most).tolist()
        if self.decimals > 0:
            return [round(value, self.decimals) + 0.0 for value in values]  # 0.0 makes -0.0 a plain 0
        rounded = [round(value, self.decimals) for value in values]
        whole = all(abs(value) < 2**53 for value in rounded)
        return [int(value) for value in rounded] if whole else rounded


@dataclass(frozen=True)
class Table:
    """How points are written as the rows of a table.

    Attributes:
        columns: One for each coordinate of a point.
        order: Names in the order of the file, that of the label among them.
        label: The column that the class came from, None when there is none.
        values: What each class stands for in it, by class.
    """

    columns: tuple[Column, ...]
    order: tuple[str, ...]
    label: str | None = None
    values: tuple[str, ...] = ()

    def restore(self, x: Tensor, y: Tensor | None) -> dict[str, list[Any]]:
        """Return each column in its own unit by name, in order; the label's only where there are labels.

        Args:
            x: Points as the networks see them, shape [N, d].
            y: Their classes, shape [N], or None.
        """
        named: dict[str, list[Any]] = {
            column.name: column.restore(x[:, i]) for i, column in enumerate(self.columns)
        }
        if y is not None and self.label is not None:
            named[self.label] = [self.values[c] for c in y.tolist()]
        return {name: named[name] for name in self.order if name in named}
