"""What a dataset is: tensors in memory, split once, and what is known of their density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Spec:
    """The shape of one sample, known before anything is decoded.

    Attributes:
        shape: ``(C, H, W)`` for images in [-1, 1], ``(d,)`` for points.
        classes: Number of class labels; 0 for data without labels.
    """

    shape: tuple[int, ...]
    classes: int = 0

    @property
    def is_image(self) -> bool:
        """Whether samples are images rather than points."""
        return len(self.shape) == 3

    @property
    def numel(self) -> int:
        """Numbers in one sample."""
        return math.prod(self.shape)


class Density(Protocol):
    """A known distribution of points.

    Attributes:
        modes: Centres of its modes, shape [K, d].
        std: Standard deviation of each mode along every axis, in the data's unit.
    """

    modes: Tensor
    std: float

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log density in nats at ``x``, shape [N, d] to [N]."""


@dataclass(frozen=True)
class GaussianModes:
    """An equal mixture of K round Gaussians in d dimensions.

    Attributes:
        modes: Their means, shape [K, d].
        std: Their standard deviation along every axis.
    """

    modes: Tensor
    std: float

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log 1/K sum_k N(x; mode_k, std^2 I) in nats, shape [N, d] to [N]."""
        modes = self.modes.to(x)
        count, d = modes.shape
        squared = (x[:, None, :] - modes).square().sum(2) / self.std**2
        constant = math.log(count) + d * math.log(self.std * math.sqrt(2 * math.pi))
        return torch.logsumexp(-0.5 * squared, 1) - constant

    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw ``n`` points, shape [n, d], and the mode of each, shape [n]."""
        mode = torch.randint(len(self.modes), (n,), generator=generator)
        noise = torch.randn(n, self.modes.shape[1], generator=generator)
        return self.modes[mode] + self.std * noise, mode


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


def split(x: Tensor, y: Tensor | None, holdout: float, seed: int) -> tuple[Split, Split]:
    """Shuffle by ``seed`` and cut off the share ``holdout``; the same seed gives the same split.

    Args:
        x: Samples, shape [N, ...].
        y: Labels, shape [N], or None.
        holdout: Share in (0, 1); both parts keep at least one sample.
        seed: The run's seed.
    """
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    cut = min(max(round(len(x) * (1 - holdout)), 1), len(x) - 1)
    parts = order[:cut], order[cut:]
    train, held = (Split(x[i].contiguous(), None if y is None else y[i]) for i in parts)
    return train, held
