"""What a step needs from the host, made and copied to a CUDA device before the step is due."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
DEPTH = 2  # numbers that are computed ahead
ALIGNMENT = 256  # bytes: kernels read aligned tensors faster, and compiled ones copy the others


class Ahead(Generic[T]):
    """A function of a number, computed in a thread for the numbers that follow the last one.

    Args:
        compute: Depends on the number alone; one call at a time.
        depth: How many numbers ahead.
    """

    def __init__(self, compute: Callable[[int], T], depth: int = DEPTH):
        self._compute, self._depth = compute, depth
        self._pool = ThreadPoolExecutor(1, "gantrain-ahead")
        self._pending: dict[int, Future[T]] = {}

    def __call__(self, number: int) -> T:
        """Return the function of ``number``; raises what it raises."""
        due = range(number, number + 1 + self._depth)
        for other in self._pending.keys() - set(due):  # left over after a jump
            self._pending.pop(other).cancel()
        for other in due:
            if other not in self._pending:
                self._pending[other] = self._pool.submit(self._compute, other)
        return self._pending.pop(number).result()


@dataclass(frozen=True)
class Sent:
    """Tensors on their way to a device.

    Attributes:
        tensors: On the device.
        event: Recorded after their copies; None where nothing has to be waited for.
    """

    tensors: list[Tensor]
    event: torch.cuda.Event | None = None


class Sender:
    """Copies tensors to a device; to CUDA from pinned memory and on a stream of its own, while a step computes."""

    def __init__(self, device: torch.device):
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def send(self, tensors: list[Tensor]) -> Sent:
        """Start copying tensors of the CPU, from any thread."""
        if self._stream is None:
            return Sent([x.to(self.device) for x in tensors])
        pinned = [x if x.is_pinned() else x.pin_memory() for x in tensors]
        with torch.cuda.stream(self._stream):
            copies = [x.to(self.device, non_blocking=True) for x in pinned]
            return Sent(copies, self._stream.record_event())

    def receive(self, sent: Sent) -> list[Tensor]:
        """Return the copies, for use on the current stream: the device waits for them, not the host."""
        if sent.event is not None:
            stream = torch.cuda.current_stream(self.device)
            stream.wait_event(sent.event)
            # Their memory belongs to the other stream, which must not use it again before this one is done with it.
            for copy in sent.tensors:
                copy.record_stream(stream)
        return sent.tensors


def pack(tensors: list[Tensor], is_pinned: bool = False) -> Tensor:
    """Return CPU tensors in one buffer of bytes, each at a multiple of 256, uint8 [bytes]."""
    starts, size = _places(tensors)
    buffer = torch.empty(size, dtype=torch.uint8, pin_memory=is_pinned)
    for x, view in zip(tensors, _views(buffer, tensors, starts), strict=True):
        view.copy_(x)
    return buffer


def unpack(buffer: Tensor, like: list[Tensor]) -> list[Tensor]:
    """Return the tensors of ``pack``, views of its buffer on any device; ``like`` have their shapes and types."""
    return _views(buffer, like, _places(like)[0])


def _places(tensors: list[Tensor]) -> tuple[list[int], int]:
    """Return the byte at which each tensor starts, and the number of bytes."""
    starts, size = [], 0
    for x in tensors:
        starts.append(size)
        size += -(-x.nbytes // ALIGNMENT) * ALIGNMENT
    return starts, size


def _views(buffer: Tensor, like: list[Tensor], starts: list[int]) -> list[Tensor]:
    pairs = zip(like, starts, strict=True)
    return [buffer[start : start + x.nbytes].view(x.dtype).view(x.shape) for x, start in pairs]
