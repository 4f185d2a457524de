"""What a dataset is: tensors in memory, split once, and what is known of their density."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from gantrain.registry import option


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

    def near(self, other: Column) -> bool:
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


@dataclass(frozen=True)
class Spec:
    """The shape of one sample, known before anything is decoded.

    Attributes:
        shape: ``(C, H, W)`` for images in [-1, 1], ``(d,)`` for points.
        classes: Number of class labels; 0 for data without labels.
        table: The units of points that came from the columns of a table, else None.
    """

    shape: tuple[int, ...]
    classes: int = 0
    table: Table | None = None

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
        plain = asdict(self) | {"shape": list(self.shape)}
        return plain if self.table else {key: value for key, value in plain.items() if key != "table"}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Spec:
        """Return the spec of plain data. Raises KeyError, TypeError or ValueError when they describe none."""
        shape, classes, told = (
            tuple(int(side) for side in plain["shape"]),
            int(plain["classes"]),
            plain.get("table"),
        )
        if told is None:
            return cls(shape, classes)
        columns = tuple(
            Column(str(c["name"]), float(c["shift"]), float(c["scale"]), int(c["decimals"]))
            for c in told["columns"]
        )
        label = None if told["label"] is None else str(told["label"])
        table = Table(columns, tuple(map(str, told["order"])), label, tuple(map(str, told["values"])))
        names = [column.name for column in columns] + ([] if label is None else [label])
        if sorted(table.order) != sorted(names) or shape != (len(columns),) or len(table.values) != classes:
            raise ValueError("a table's columns are not those of its points")
        return cls(shape, classes, table)

    def alike(self, other: Spec) -> bool:
        """Say whether one's data can stand for the other's; units may differ as another machine's mean does."""
        mine, theirs = self.table, other.table
        if mine is None or theirs is None or len(mine.columns) != len(theirs.columns):
            return self == other
        return (self.shape, self.classes, replace(mine, columns=())) == (
            other.shape,
            other.classes,
            replace(theirs, columns=()),
        ) and all(a.near(b) for a, b in zip(mine.columns, theirs.columns, strict=True))


class Density(Protocol):
    """A known distribution of points."""

    @property
    def modes(self) -> Tensor:
        """Centres of its modes, shape [K, d]; K is 0 for one without separate modes."""

    @property
    def std(self) -> float | Tensor:
        """Standard deviation of each mode along every axis, in the data's unit: one for all, or shape [K]."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log density in nats at ``x``, shape [N, d] to [N]."""


@dataclass(frozen=True)
class GaussianModes:
    """A mixture of K round Gaussians in d dimensions.

    Attributes:
        modes: Their means, shape [K, d].
        std: Their standard deviation along every axis: one for all, or one each, shape [K].
        weights: Their shares, shape [K], of any positive sum; None for equal ones.
    """

    modes: Tensor
    std: float | Tensor
    weights: Tensor | None = None

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log sum_k w_k N(x; mode_k, std_k^2 I) in nats, shape [N, d] to [N]."""
        modes, std = self.modes.to(x), torch.as_tensor(self.std).to(x).expand(len(self.modes))
        shares = self._shares().to(x)
        squared = (x[:, None, :] - modes).square().sum(2) / std.square()
        height = shares.log() - modes.shape[1] * (std.log() + 0.5 * math.log(2 * math.pi))
        return torch.logsumexp(height - 0.5 * squared, 1)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw ``n`` points, shape [n, d], and the mode of each, shape [n]."""
        mode = torch.multinomial(self._shares(), n, replacement=True, generator=generator)
        noise = torch.randn(n, self.modes.shape[1], generator=generator)
        return self.modes[mode] + torch.as_tensor(self.std).expand(len(self.modes))[mode, None] * noise, mode

    def _shares(self) -> Tensor:
        weights = torch.ones(len(self.modes)) if self.weights is None else self.weights
        return weights / weights.sum()


@dataclass(frozen=True)
class Split:
    """Samples and their labels, in memory.

    Attributes:
        x: Shape [N, ...]; uint8 in 0..255, or float32 as the networks see it.
        y: Class of each, shape [N], int64; None without labels.
    """

    x: Tensor
    y: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor | None]:
        """Return the samples at ``index`` as float32 on ``device``, images in [-1, 1], and their labels."""
        x = self.x[index].to(device)
        if x.dtype == torch.uint8:
            x = x.float().div_(127.5).sub_(1.0)
        return x, None if self.y is None else self.y[index].to(device)


@dataclass(frozen=True)
class Data:
    """A dataset that is ready to train on.

    Attributes:
        spec: Shape and classes.
        train: What the players see.
        holdout: What no player is fitted to; every estimate is read from it.
        density: The distribution, where it is known.
    """

    spec: Spec
    train: Split
    holdout: Split
    density: Density | None = None


class Dataset:
    """A source of data: ``spec`` is cheap and finds missing files, ``load`` decodes."""

    def spec(self) -> Spec:
        """Return shape and classes. Raises DataError when the data is not there."""
        raise NotImplementedError

    def load(self, seed: int) -> Data:
        """Return the data, split by ``seed``. Raises DataError for what cannot be read."""
        raise NotImplementedError


@dataclass
class Drawn(Dataset):
    """Points drawn once from a distribution that is known.

    The mode that a point was drawn from is its class; a single mode is no class.
    """

    n: int = option(100_000, "training points drawn once", minimum=2, maximum=10_000_000)
    n_holdout: int = option(10_000, "held-out points", minimum=2, maximum=10_000_000)

    def density(self) -> GaussianModes:
        """Return the mixture that the points are drawn from."""
        raise NotImplementedError

    def spec(self) -> Spec:
        """Return the dimension, with the mode as class where there are several."""
        count, d = self.density().modes.shape
        return Spec(shape=(d,), classes=count if count > 1 else 0)

    def load(self, seed: int) -> Data:
        """Draw the points by ``seed``."""
        spec, density, generator = self.spec(), self.density(), torch.Generator().manual_seed(seed)
        parts = [density.sample(n, generator) for n in (self.n, self.n_holdout)]
        train, held = (Split(x, y if spec.classes else None) for x, y in parts)
        return Data(spec, train, held, density)


def split(x: Tensor, y: Tensor | None, holdout: float, seed: int) -> tuple[Split, Split]:
    """Shuffle by ``seed`` and cut off the share ``holdout``; the same seed gives the same split.

    Args:
        x: Samples, shape [N, ...].
        y: Labels, shape [N], or None.
        holdout: Share in (0, 1); both parts keep two samples, which a standard error needs.
        seed: The run's seed.
    """
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    cut = min(max(round(len(x) * (1 - holdout)), 2), len(x) - 2)
    parts = order[:cut], order[cut:]
    train, held = (Split(x[i].contiguous(), None if y is None else y[i]) for i in parts)
    return train, held
