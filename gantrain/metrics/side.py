"""One side of an evaluation: samples that are in memory as a whole only where they are small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from gantrain.core.device import upload
from gantrain.core.spec import Spec
from gantrain.datasets.base import Split, scaled

CHUNK = 500  # samples sent through a network at a time, at most
BYTES = 2**26  # of the activations of a network at a time: more of them leave a processor's caches
GPU_BYTES = 2**30
WHOLE_BYTES = 2**28  # of the numbers of a side that stays in memory as float32
LEVELS = 127.5  # of a byte in one unit of an image in [-1, 1]


def chunk_size(bytes_per_sample: int, device: torch.device) -> int:
    """Return how many samples are sent through a network at a time, by the bytes of the activations of one."""
    budget = BYTES if device.type == "cpu" else GPU_BYTES
    return max(1, min(CHUNK, budget // bytes_per_sample))


def is_large(n: int, spec: Spec) -> bool:
    """Return whether n images would take too much memory as float32; points are never large."""
    return spec.is_image and 4 * n * spec.numel > WHOLE_BYTES


def to_bytes(x: Tensor) -> Tensor:
    """Return images in [-1, 1] as bytes 0..255, rounded and clipped as image files have them; same shape."""
    return x.float().add(1).mul(LEVELS).round_().clamp_(0, 255).byte()


class Side:
    """Samples of one side, and their labels.

    Attributes:
        read: ``index -> samples [len(index), ...]``, float32 on the device, images in [-1, 1].
        y: Labels [n] on the device, or None.
        n: Number of samples.
        is_lazy: Whether samples are read anew wherever they are needed, some at a time.
    """

    def __init__(self, read: Callable[[Tensor], Tensor], y: Tensor | None, n: int, is_lazy: bool):
        self.read, self.y, self.n, self.is_lazy = read, y, n, is_lazy

    @classmethod
    def of(cls, x: Tensor, y: Tensor | None) -> Side:
        """Return the side of samples [n, ...], numbers or bytes, on the device where they are."""
        is_bytes = x.dtype == torch.uint8
        side = cls(lambda index: scaled(x[index.to(x.device)]), y, len(x), is_lazy=is_bytes)
        if not is_bytes:
            side._whole = x
        return side

    @classmethod
    def of_split(cls, part: Split, index: Tensor, device: torch.device, spec: Spec) -> Side:
        """Return the side of the samples of a split at ``index``, read from it when they are large."""
        y = None if part.y is None else upload(part.y[index.to(part.y.device)], device)

        def read(rows: Tensor) -> Tensor:
            return part.take(index[rows.cpu()], device)[0]

        return cls(read, y, len(index), is_large(len(index), spec))

    def __len__(self) -> int:
        return self.n

    @cached_property
    def _whole(self) -> Tensor:
        return self.read(torch.arange(self.n))

    @property
    def x(self) -> Tensor:
        """All samples [n, ...], float32; those of a lazy side are read for each use."""
        return self.read(torch.arange(self.n)) if self.is_lazy else self._whole

    def parts(self, size: int) -> Iterable[Tensor]:
        """Return the samples in order, ``size`` at a time, as an iterable that is used once."""
        if not self.is_lazy:
            return self._whole.split(size)
        return map(self.read, torch.arange(self.n).split(size))

    def take(self, index: Tensor) -> Tensor:
        """Return the samples at ``index``."""
        return self.read(index) if self.is_lazy else self._whole[index.to(self._whole.device)]

    def in_order(self, order: Tensor) -> Side:
        """Return the side whose i-th sample is the ``order[i]``-th of this one."""
        y = None if self.y is None else self.y[order.to(self.y.device)]
        return Side(lambda rows: self.take(order[rows]), y, len(order), self.is_lazy)


def in_chunks(
    network: Callable[..., Tensor], parts: Iterable[Tensor], y: Tensor | None, size: int
) -> Iterator[Tensor]:
    """Yield ``network(x, y)`` of each part x of samples, and its conditions [N] or None, ``size`` of them a part."""
    start = 0
    for x in parts:
        yield network(x, None if y is None else y[start : start + size])
        start += size


Pair = Side | tuple[Tensor, Tensor | None]  # or samples [n, ...] and their labels [n]
Given = Pair | Callable[[], Pair]


def given_side(given: Given) -> Side:
    """Return the side that was given, or what returns one."""
    side = given() if callable(given) else given
    return side if isinstance(side, Side) else Side.of(*side)
