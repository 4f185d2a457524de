"""What a dataset is: tensors, split once into training and held-out samples, and their density where it is known."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from gantrain.core.data_files import DataFiles
from gantrain.core.device import free_memory, upload
from gantrain.core.spec import Spec
from gantrain.core.stored_rows import StoredRows
from gantrain.registry import option

DEVICE_SHARE = 0.5  # of a GPU's free memory that data may take; the rest is for networks and metrics


class Density(Protocol):
    """A distribution of points with known density."""

    @property
    def modes(self) -> Tensor:
        """Centres of its modes, shape [K, d]; K is 0 for a density without separate modes."""

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
        weights: Their weights, shape [K], of any positive sum; None for equal ones.
    """

    modes: Tensor
    std: float | Tensor
    weights: Tensor | None = None

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log sum_k w_k N(x; mode_k, std_k^2 I) in nats, shape [N, d] to [N]."""
        # In the precision and on the device of x, which quadrature takes in float64
        modes, std = self.modes.to(x), torch.as_tensor(self.std).to(x).expand(len(self.modes))
        weights = self._normalised_weights().to(x)
        # log of sum_k w_k (2 pi std_k^2)^(-d/2) exp(-|x - mode_k|^2 / 2 std_k^2), [N, K] to [N]
        squared = (x[:, None, :] - modes).square().sum(2) / std.square()
        height = weights.log() - modes.shape[1] * (std.log() + 0.5 * math.log(2 * math.pi))
        return torch.logsumexp(height - 0.5 * squared, 1)

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw ``n`` points, shape [n, d], and the mode of each, shape [n]."""
        mode = torch.multinomial(self._normalised_weights(), n, replacement=True, generator=generator)
        noise = torch.randn(n, self.modes.shape[1], generator=generator)
        std = torch.as_tensor(self.std).expand(len(self.modes))[mode, None]  # [n, 1]
        return self.modes[mode] + std * noise, mode

    def _normalised_weights(self) -> Tensor:
        weights = torch.ones(len(self.modes)) if self.weights is None else self.weights
        return weights / weights.sum()


@dataclass(frozen=True)
class Split:
    """Samples and their labels, in memory or in a file.

    Attributes:
        x: Shape [N, ...]; uint8 in 0..255, or float32.
        y: Class of each sample, shape [N], int64, or rows of a ``ConditionSpec``; None without labels.
        rows: Where each sample is ``x[rows[i]]``: the index into x of each, shape [N], or of its channels, [N, C].
        file: Where x is too large for the memory: the file with its rows, of which x is a map that is not read.
    """

    x: Tensor
    y: Tensor | None = None
    rows: Tensor | None = None
    file: StoredRows | None = None

    def __len__(self) -> int:
        return len(self.x if self.rows is None else self.rows)

    def take(self, index: Tensor, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor | None]:
        """Return the samples at ``index`` as float32 on ``device``, images in [-1, 1], and their labels."""
        (x, y), place = self.select(index), torch.device(device)
        # Scaled on the device, since bytes are a quarter of the transfer
        return scaled(upload(x, place)), None if y is None else upload(y, place)

    def select(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the samples at ``index`` as they are stored, and their labels, where the split is."""
        index = index.to(self.x.device)
        rows = self.places(index)
        if self.file is not None:
            x = self.file.read(rows)
        else:  # of whole samples, which index_select copies several times faster
            x = self.x.index_select(0, rows) if rows.dim() == 1 else self.x[rows]
        return x, None if self.y is None else self.y[index]

    def places(self, index: Tensor) -> Tensor:
        """Return where the samples at ``index`` are in x."""
        return index if self.rows is None else self.rows[index]

    def pieces(self) -> Iterator[Tensor]:
        """Yield x piece by piece along its first dimension, none larger than the memory."""
        yield from [self.x] if self.file is None else self.file.pieces()

    def resident(self, device: torch.device) -> Split:
        """Return the split on a CUDA device where it fits into half of the free memory; itself otherwise."""
        parts = {name: t for name in ("x", "y", "rows") if (t := getattr(self, name)) is not None}
        size = sum(t.nbytes for t in parts.values())
        if device.type != "cuda" or size > DEVICE_SHARE * free_memory(device):
            return self
        if self.file is not None:
            parts["x"] = torch.cat([piece.to(device) for piece in self.pieces()])
        return replace(self, **{name: t.to(device) for name, t in parts.items()}, file=None)


def scaled(x: Tensor) -> Tensor:
    """Return samples as float32: bytes 0..255 as numbers in [-1, 1], others unchanged."""
    return x.float().div_(127.5).sub_(1.0) if x.dtype == torch.uint8 else x


@dataclass(frozen=True)
class Data:
    """A dataset that is ready to train on.

    Attributes:
        spec: Shape and conditioning.
        train: Training samples.
        holdout: Held-out samples; every estimate is computed on them.
        density: The distribution, where it is known.
        within: Which training samples the held-out ones are, [len(holdout)], where none are held out; else None.
        summary: What was taken from files and what was left out, the first line of a run; empty for drawn samples.
    """

    spec: Spec
    train: Split
    holdout: Split
    density: Density | None = None
    within: Tensor | None = None
    summary: str = ""

    def __post_init__(self) -> None:
        if self.holdout is self.train and self.within is None:
            object.__setattr__(self, "within", torch.arange(len(self.train)))


class Dataset(ABC):
    """A source of data: ``spec`` is cheap and reports missing files, ``load`` decodes them."""

    @abstractmethod
    def spec(self) -> Spec:
        """Return shape and conditioning. Raises DataError when the data is missing."""

    @abstractmethod
    def load(self, seed: int) -> Data:
        """Return the data, split by ``seed``. Raises DataError when they cannot be read."""

    @property
    def files(self) -> DataFiles:
        """The files that the data come from, to be compared when a run goes on; none for drawn samples."""
        return DataFiles()


@dataclass
class FileDataset(Dataset):
    """Data of files; a subclass defines ``files``, and a run goes on with the same ones only."""

    allow_changed: bool = option(
        False, "resume although files of the data have changed; the run is then not the same bit for bit"
    )

    @property
    @abstractmethod
    def files(self) -> DataFiles:
        """The files that the data come from. Raises DataError when they are missing."""


@dataclass
class Synthetic(Dataset):
    """Samples drawn once from the seed; a subclass defines ``spec`` and ``sample``."""

    n: int = option(100_000, "training points drawn once", minimum=2, maximum=10_000_000)
    n_holdout: int = option(10_000, "held-out points", minimum=2, maximum=10_000_000)

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Split:
        """Draw ``n`` samples on the CPU, with their labels if there are any."""

    def density(self) -> Density | None:
        """Return the density of the samples, or None where it is not known."""
        return None

    def load(self, seed: int) -> Data:
        # One generator for both parts, so that the held-out points are other draws.
        generator = torch.Generator().manual_seed(seed)
        train, holdout = (self.sample(n, generator) for n in (self.n, self.n_holdout))
        return Data(self.spec(), train, holdout, self.density())


@dataclass
class SyntheticPoints(Synthetic):
    """Points of a mixture of Gaussians; a subclass defines ``density``.

    The class of a point is the mode that it was drawn from; a single mode gives no classes.
    """

    @abstractmethod
    def density(self) -> GaussianModes:
        """Return the mixture that the points are drawn from."""

    def spec(self) -> Spec:
        count, d = self.density().modes.shape
        return Spec(shape=(d,), classes=count if count > 1 else 0)

    def sample(self, n: int, generator: torch.Generator) -> Split:
        density = self.density()
        x, mode = density.sample(n, generator)
        return Split(x, mode if len(density.modes) > 1 else None)


def split(x: Tensor, y: Tensor | None, holdout: float, seed: int) -> tuple[Split, Split]:
    """Shuffle by ``seed`` and hold out the fraction ``holdout``; the same seed gives the same split.

    Args:
        x: Samples, shape [N, ...].
        y: Labels, shape [N], or None.
        holdout: In (0, 1), where both parts keep at least two samples, which a standard error needs; or 0 to hold
            nothing out: both parts are one and the same.
        seed: The run's seed.
    """
    # A fresh generator, so that the split depends on the seed and the count alone.
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    if holdout == 0:
        whole = Split(x[order].contiguous(), None if y is None else y[order])
        return whole, whole
    cut = min(max(round(len(x) * (1 - holdout)), 2), len(x) - 2)
    parts = order[:cut], order[cut:]
    train, held_out = (Split(x[i].contiguous(), None if y is None else y[i]) for i in parts)
    return train, held_out
