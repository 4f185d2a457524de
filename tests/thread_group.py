"""Processes of a run as threads of one process, for tests of what they compute together."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import torch
from torch import Tensor

from gantrain.distributed.group import Group

T = TypeVar("T")
SECONDS = 60  # until a thread that waits for the others gives up


class ThreadGroup(Group):
    """One of several threads that stand for processes."""

    def __init__(self, rank: int, places: list[Any], barrier: threading.Barrier):
        self.rank, self.size = rank, len(places)
        self._places, self._barrier = places, barrier

    def connect(self, device: torch.device, timeout: float) -> None:
        """Do nothing."""

    def exchange(self, value: Any) -> list[Any]:
        self._places[self.rank] = value
        self._barrier.wait(SECONDS)
        values = list(self._places)
        with suppress(threading.BrokenBarrierError):  # that thread has ended since
            self._barrier.wait(SECONDS)
        return values

    def gather(self, x: Tensor) -> list[Tensor]:
        return self.exchange(x.clone())

    def sum(self, x: Tensor) -> Tensor:
        return sum(self.gather(x))

    def share(self, value: Any) -> Any:
        return self.exchange(value)[0]

    def wait(self) -> None:
        self.exchange(None)

    def close(self) -> None:
        """Leave the threads to their pool."""


def in_threads(size: int, work: Callable[[Group], T]) -> list[T]:
    """Return what ``work`` returns in each of ``size`` threads that form a group; raises what one of them raises."""
    places, barrier = [None] * size, threading.Barrier(size)

    def work_or_stop(rank: int) -> T:
        try:
            return work(ThreadGroup(rank, places, barrier))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work_or_stop, range(size)))
