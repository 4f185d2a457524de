"""What is known of data before any sample is decoded: shape, conditioning and units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gantrain.core.table_units import Table
from gantrain.core.text import count


def bounded(x: Tensor) -> Tensor:
    """Return samples with the pixels of images [N, C, H, W] clamped to [-1, 1], which a G may leave."""
    return x.clamp(-1, 1) if x.dim() == 4 else x


@dataclass(frozen=True)
class ConditionSpec:
    """A condition that is more than one class: a vector of numbers, or words.

    Attributes:
        names: The name of each number of a vector; or the words of the vocabulary.
        examples: Rows of y; sample grids have a row of images for each.
        words: Whether a row of y is a sequence of words: indices into ``names`` plus 1, padded with 0.
    """

    names: tuple[str, ...]
    examples: tuple[tuple[float, ...], ...]
    words: bool = False

    def __post_init__(self) -> None:
        if not self.examples or any(len(row) != self.width for row in self.examples):
            raise ValueError("a condition's rows differ in length, or there are none")
        self.tensor(self.examples)  # raises for an invalid number

    @property
    def width(self) -> int:
        """Numbers in a row of y: the length of a vector, or of the longest caption."""
        return max(len(row) for row in self.examples) if self.words else len(self.names)

    def tensor(self, rows: Sequence[Sequence[float]]) -> Tensor:
        """Return rows of y: float32 [N, width], or int64 for words. Raises ValueError for an invalid number."""
        values = torch.tensor(rows, dtype=torch.float64)
        y = values.to(torch.int64 if self.words else torch.float32)
        # Words are checked before the conversion, since NaN becomes some whole number.
        legal = ((values >= 0) & (values <= len(self.names))).all() if self.words else torch.isfinite(y).all()
        if not legal:
            raise ValueError("a condition holds an invalid number")
        return y

    def read(self, text: str) -> list[float]:
        """Parse a caption, or numbers between commas, to a row of y. Raises ValueError with the reason."""
        if not self.words:
            try:
                row = [float(number) for number in text.split(",")]
            except ValueError:
                row = []
            if len(row) != self.width:
                raise ValueError(f"give {self.width} numbers: {', '.join(self.names)}")
            return row
        words = text.lower().split()
        if unknown := sorted(set(words) - set(self.names)):
            raise ValueError(f"it does not know {', '.join(unknown)}; its words are {', '.join(self.names)}")
        if not 0 < len(words) <= self.width:
            raise ValueError(f"give 1 to {self.width} words")
        # Index plus 1, padded with 0
        return [float(self.names.index(word) + 1) for word in words] + [0.0] * (self.width - len(words))

    def write(self, row: Tensor) -> str:
        """Return a row of y [width] as text, the inverse of ``read``."""
        if self.words:
            return " ".join(self.names[int(word) - 1] for word in row if word)
        return ",".join(_shortest_text(number) for number in row.tolist())


def _shortest_text(number: float) -> str:
    """Return the fewest digits, at least 6, that parse to the same float32; 9 always do."""
    texts = (f"{number:.{digits}g}" for digits in (6, 7, 8, 9))
    return next(text for text in texts if torch.tensor(float(text)).item() == number)


@dataclass(frozen=True)
class Spec:
    """Shape, conditioning and units of the samples of a dataset.

    Attributes:
        shape: ``(C, H, W)`` for images in [-1, 1], ``(d,)`` for points.
        classes: Number of class labels; 0 for data without them.
        table: The units of points that came from the columns of a table, else None.
        condition: The condition where it is more than one class, else None.
        channel_classes: K where each channel shows one of K classes; a label is then the number whose digits in base
            K are the channels' classes. 0 where a label belongs to the whole image.
    """

    shape: tuple[int, ...]
    classes: int = 0
    table: Table | None = None
    condition: ConditionSpec | None = None
    channel_classes: int = 0

    @property
    def is_labelled(self) -> bool:
        """Whether samples come with a condition."""
        return self.classes > 0 or self.condition is not None

    def conditions(self, limit: int | None = None) -> Tensor:
        """Return at most ``limit`` conditions: the classes [K], or the condition's examples [K, width]."""
        if self.condition:
            return self.condition.tensor(self.condition.examples[:limit])
        return torch.arange(self.classes if limit is None else min(limit, self.classes))

    @property
    def is_image(self) -> bool:
        """Whether samples are images rather than points."""
        return len(self.shape) == 3

    def describe(self) -> str:
        """Return the kind and size of a sample in words."""
        if self.is_image:
            return f"{self.shape[1]}x{self.shape[2]} images of {count(self.shape[0], 'channel')}"
        return f"points of {count(self.shape[0], 'dimension')}"

    @property
    def numel(self) -> int:
        """Numbers in one sample."""
        return math.prod(self.shape)

    def plain(self) -> dict[str, Any]:
        """Return plain data, as a checkpoint stores it; the inverse of ``from_plain``."""
        plain = {key: value for key, value in asdict(self).items() if value or key in ("shape", "classes")}
        if condition := plain.pop("condition", None):
            # Checkpoints have always stored the condition as "given" and its examples as "shown".
            names, examples, words = condition["names"], condition["examples"], condition["words"]
            plain["given"] = dict(names=names, shown=examples, words=words)
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Spec:
        """Return the spec of plain data. Raises KeyError, TypeError or ValueError when they describe none."""
        shape, classes = tuple(int(side) for side in plain["shape"]), int(plain["classes"])
        condition, table = plain.get("given"), plain.get("table")
        if condition is not None:
            rows = tuple(tuple(float(number) for number in row) for row in condition["shown"])
            condition = ConditionSpec(tuple(map(str, condition["names"])), rows, bool(condition["words"]))
        if table is None:
            return cls(shape, classes, None, condition, int(plain.get("channel_classes", 0)))
        table = Table.from_plain(table)
        if shape != (len(table.columns),) or len(table.values) != classes:
            raise ValueError("a table's columns are not those of its points")
        return cls(shape, classes, table, condition)

    def is_compatible(self, other: Spec) -> bool:
        """Return whether one's data can replace the other's: all but the rounding of a table's units is equal."""
        if self.table is None or other.table is None:
            return self == other
        return replace(self, table=None) == replace(other, table=None) and self.table.isclose(other.table)
