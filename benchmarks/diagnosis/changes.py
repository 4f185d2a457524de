"""Faults that no word puts into a run: of its data, once they are loaded, or of its networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from gantrain.config.options import Config
from gantrain.datasets.base import Data, Split

FEW = 30  # different samples of repeated data
DATA_CHANGES = (
    *("one class", "shuffled", "unequal", "bytes", "unit", "column"),
    *("repeated", "50 samples", "memory", "5 held out"),
)
KNOWN, SAME = 3.0, 1e-2  # by which D's logit on a training sample is higher, and how near is the same
CONTRAST = 0.3  # of a checkerboard, in pixels of [-1, 1]
CODES = 3  # latents of a partial collapse


def _plain(part: Split) -> Split:
    """Return a split in memory, in numbers."""
    x, y = part.take(torch.arange(len(part)))
    return Split(x, y)


def _of(part: Split, index: Tensor) -> Split:
    return Split(part.x[index], None if part.y is None else part.y[index])


def change_data(change: str, data: Data, seed: int) -> Data:
    """Return a run's data with a fault; themselves for a change that is not of the data."""
    if change not in DATA_CHANGES:
        return data
    generator = torch.Generator().manual_seed(seed)
    train, held_out = _plain(data.train), _plain(data.holdout)

    def both(function: Callable[[Split], Split]) -> Data:
        return replace(data, train=function(train), holdout=function(held_out))

    def numbers(function: Callable[[Tensor], Tensor]) -> Data:
        return both(lambda part: replace(part, x=function(part.x)))

    def labels(function: Callable[[Tensor], Tensor]) -> Data:
        return both(lambda part: replace(part, y=function(part.y)))  # type: ignore[arg-type]

    match change:
        case "one class":
            return labels(torch.zeros_like)
        case "shuffled":
            return labels(lambda y: y[torch.randperm(len(y), generator=generator)])
        case "unequal":
            assert train.y is not None
            keep = (train.y != 0) | ((train.y == 0).cumsum(0) <= 3)
            return replace(data, train=_of(train, keep.nonzero()[:, 0]))
        case "bytes":
            return numbers(lambda x: (x + 1) * 127.5)
        case "unit":
            return numbers(lambda x: (x + 1) / 2)
        case "column":
            return replace(numbers(lambda x: x * torch.tensor([1000.0, 1.0])), density=None)
        case "repeated":
            return replace(data, train=_of(train, torch.arange(len(train)) % FEW))
        case "50 samples":
            return replace(data, train=_of(train, torch.arange(50)))
        case "memory":
            return replace(data, train=_of(train, torch.arange(210)))
    return replace(data, holdout=_of(held_out, torch.arange(5)))


def change_networks(change: str, config: Config, data: Data) -> AbstractContextManager[Any]:
    """Return a context in which a model's networks have a fault."""
    match change:
        case "blind D":
            return _built(config, "discriminator", lambda call, x, y: call(x, torch.zeros_like(y)))
        case "memory":
            known = data.train.x.flatten(1)
            return _built(
                config, "discriminator", lambda call, x, y: call(x, y) + KNOWN * _is_one_of(x, known)
            )
        case "checkerboard":
            return _built(config, "generator", lambda call, z, y: _checkered(call(z, y)))
        case "codes":
            codes = torch.randn(CODES, 4096, generator=torch.Generator().manual_seed(config.seed))
            return _built(config, "generator", lambda call, z, y: call(_few(z, codes), y))
    return nullcontext()


def _is_one_of(x: Tensor, known: Tensor) -> Tensor:
    """Return whether each of x [N, ...] is one of the rows of ``known``, as 0 or 1, [N]."""
    return (torch.cdist(x.flatten(1), known).min(1).values < SAME).float()


def _checkered(x: Tensor) -> Tensor:
    """Return images as a last transposed convolution of stride 2 leaves them whose kernel overlaps unevenly.

    Its pattern is the same wherever it is; G cannot undo it, since what it draws is the same in each 2x2 pixels.
    """
    even = nn.functional.interpolate(nn.functional.avg_pool2d(x, 2), scale_factor=2)
    tile = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(x.shape[2] // 2, x.shape[3] // 2)
    return (1 - CONTRAST) * even + CONTRAST * tile


def _few(z: Tensor, codes: Tensor) -> Tensor:
    """Return latents [N, d] that are nearly one of a few."""
    which = (z[:, 0] > 0).long() + (z[:, 1] > 0).long()
    return codes[which, : z.shape[1]] + 0.02 * z


@contextmanager
def _built(config: Config, part: str, forward: Callable[..., Tensor]) -> Iterator[None]:
    """Inside the block a model builds a part whose pass is ``forward(own pass, x, y)``."""
    model = type(config.model)
    build = getattr(model, part)

    def changed(self: Any, spec: Any) -> nn.Module:
        network = build(self, spec)
        cls = type(network)

        def call(self: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
            return forward(lambda *given: cls.forward(self, *given), x, y)

        network.__class__ = type(f"Faulty{cls.__name__}", (cls,), {"forward": call})
        return network

    with mock.patch.object(model, part, changed):
        yield
