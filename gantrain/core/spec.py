"""What is known of data before any is decoded: the shape of a sample, what it is asked for by, and its units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gantrain.core.table_units import Column, Table


@dataclass(frozen=True)
class ConditionSpec:
    """A condition that is more than one class: a vector of numbers, or words.

    Attributes:
        names: What each number of a vector is called; or every word of a vocabulary.
        shown: Conditions that pictures have a row for, as rows of y.
        words: Whether a row of y holds words, in order, as their number in ``names`` plus 1 with 0 for no word.
    """

    names: tuple[str, ...]
    shown: tuple[tuple[float, ...], ...]
    words: bool = False

    def __post_init__(self) -> None:
        if not self.shown or any(len(row) != self.width for row in self.shown):
            raise ValueError("a condition's rows are not as long as one another, or there are none")
        self.tensor(self.shown)

    @property
    def width(self) -> int:
        """Numbers in a row of y: those of a vector, or the most words of a caption."""
        return max(len(row) for row in self.shown) if self.words else len(self.names)

    def tensor(self, rows: Sequence[Sequence[float]]) -> Tensor:
        """Return rows of y: float32 [N, width], or int64 for words. Raises ValueError for one that cannot be."""
        told = torch.tensor(rows, dtype=torch.float64)
        y = told.to(torch.int64 if self.words else torch.float32)
        # NaN is no whole number, so words are looked at before they are made one.
        legal = ((told >= 0) & (told <= len(self.names))).all() if self.words else torch.isfinite(y).all()
        if not legal:
            raise ValueError("a condition holds a number that is none")
        return y

    def read(self, text: str) -> list[float]:
        """Return the row of y that a caption or numbers between commas stand for. Raises ValueError, saying why."""
        if not self.words:
            try:
                row = [float(number) for number in text.split(",")]
            except ValueError:
                row = []
            if len(row) != self.width:
                raise ValueError(f"give {self.width} numbers: {', '.join(self.names)}")
            return row
        said = text.lower().split()
        if unknown := sorted(set(said) - set(self.names)):
            raise ValueError(f"it does not know {', '.join(unknown)}; its words are {', '.join(self.names)}")
        if not 0 < len(said) <= self.width:
            raise ValueError(f"give 1 to {self.width} words")
        return [float(self.names.index(word) + 1) for word in said] + [0.0] * (self.width - len(said))

    def write(self, row: Tensor) -> str:
        """Return a row of y [width] as people read it; ``read`` makes the row of it again."""
        if self.words:
            return " ".join(self.names[int(word) - 1] for word in row if word)
        return ",".join(_shortest(number) for number in row.tolist())


def _shortest(number: float) -> str:
    """Return the fewest digits, at least 6, that read as this float32 again; 9 always do."""
    texts = (f"{number:.{digits}g}" for digits in (6, 7, 8, 9))
    return next(text for text in texts if torch.tensor(float(text)).item() == number)


@dataclass(frozen=True)
class Spec:
    """The shape of one sample, known before anything is decoded.

    Attributes:
        shape: ``(C, H, W)`` for images in [-1, 1], ``(d,)`` for points.
        classes: Number of class labels; 0 for data without them.
        table: The units of points that came from the columns of a table, else None.
        given: What samples are asked for where that is more than a class, else None.
        channel_classes: Where each channel shows a class of its own: how many there are. A label is then the number
            that the channels' classes write in that base; 0 where a label belongs to the whole image.
    """

    shape: tuple[int, ...]
    classes: int = 0
    table: Table | None = None
    given: ConditionSpec | None = None
    channel_classes: int = 0

    @property
    def is_labelled(self) -> bool:
        """Whether samples come with a condition."""
        return self.classes > 0 or self.given is not None

    def conditions(self, most: int | None = None) -> Tensor:
        """Return conditions to ask for, one a row: the classes [K], the first ``most`` of them, or those shown."""
        if self.given:
            return self.given.tensor(self.given.shown[:most])
        return torch.arange(self.classes if most is None else min(most, self.classes))

    @property
    def is_image(self) -> bool:
        """Whether samples are images rather than points."""
        return len(self.shape) == 3

    @property
    def numel(self) -> int:
        """Numbers in one sample."""
        return math.prod(self.shape)

    def plain(self) -> dict[str, Any]:
        """Return the plain data that ``from_plain`` makes an equal spec of, as a checkpoint stores it."""
        return {key: value for key, value in asdict(self).items() if value or key in ("shape", "classes")}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Spec:
        """Return the spec of plain data. Raises KeyError, TypeError or ValueError when they describe none."""
        shape, classes = tuple(int(side) for side in plain["shape"]), int(plain["classes"])
        told, given = plain.get("table"), plain.get("given")
        if given is not None:
            shown = tuple(tuple(float(number) for number in row) for row in given["shown"])
            given = ConditionSpec(tuple(map(str, given["names"])), shown, bool(given["words"]))
        if told is None:
            return cls(shape, classes, None, given, int(plain.get("channel_classes", 0)))
        columns = tuple(
            Column(str(c["name"]), float(c["shift"]), float(c["scale"]), int(c["decimals"]))
            for c in told["columns"]
        )
        label = None if told["label"] is None else str(told["label"])
        table = Table(columns, tuple(map(str, told["order"])), label, tuple(map(str, told["values"])))
        names = [column.name for column in columns] + ([] if label is None else [label])
        if sorted(table.order) != sorted(names) or shape != (len(columns),) or len(table.values) != classes:
            raise ValueError("a table's columns are not those of its points")
        return cls(shape, classes, table, given)

    def is_compatible(self, other: Spec) -> bool:
        """Say whether one's data can stand for the other's; units may differ as another machine's mean does."""
        mine, theirs = self.table, other.table
        if mine is None or theirs is None or len(mine.columns) != len(theirs.columns):
            return self == other
        return (self.shape, self.classes, replace(mine, columns=())) == (
            other.shape,
            other.classes,
            replace(theirs, columns=()),
        ) and all(a.isclose(b) for a, b in zip(mine.columns, theirs.columns, strict=True))
