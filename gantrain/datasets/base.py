"""What a dataset is: tensors in memory, split once, and what is known of their density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.registry import option


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
        y: Class of each, shape [N], int64, or rows of a ``ConditionSpec``; None without labels.
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
