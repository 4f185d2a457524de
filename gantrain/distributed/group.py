"""The processes that play one run together, and the null object for a run of one process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

READ_EVERY = 20  # steps


class Group(ABC):
    """What a process knows of the others, and how it exchanges tensors and plain data with them.

    Every method but ``close`` is called by all processes, in the same order.

    Attributes:
        rank: The number of this process, from 0.
        size: How many there are.
        calls: Whether this process calls all of them to talk after a step. They learn of it by the way, with a mean of
            ``Parts``, so that no step waits for a message.
        local_rank: Its number among those of its machine.
    """

    rank: int
    size: int
    calls: bool = False
    _heard: Tensor | None = None
    _asked: int = 0
    local_rank: int = 0

    @property
    def is_leader(self) -> bool:
        """Whether this is the process that writes: rank 0."""
        return self.rank == 0

    def is_called(self) -> bool:
        """Return whether a process calls, after a step; the answer is the same for all, on a GPU some steps late."""
        self._asked += 1
        if self._heard is None or (self._heard.device.type != "cpu" and self._asked % READ_EVERY):
            return False  # to read a number of a GPU is to wait for it
        heard, self._heard = self._heard, None
        return bool(heard > 0)

    def hear(self, calls: Tensor) -> None:
        """Take note of how many processes call, 0-dim, as of a mean that all have computed."""
        self._heard = calls if self._heard is None else self._heard.maximum(calls)

    @abstractmethod
    def gather(self, x: Tensor) -> list[Tensor]:
        """Return the tensors of all processes, equal in shape, in the order of their ranks."""

    @abstractmethod
    def sum(self, x: Tensor) -> Tensor:
        """Return the sum of all processes' tensors, added in an order that depends on their number."""

    @abstractmethod
    def exchange(self, value: Any) -> list[Any]:
        """Return the plain data of all processes, as JSON has them, in the order of their ranks."""

    @abstractmethod
    def share(self, value: Any) -> Any:
        """Return the leader's plain data; those of the others are ignored."""

    @abstractmethod
    def wait(self) -> None:
        """Wait until the leader calls it too, for as long as it shows that it lives.

        Raises:
            ProcessLost: When it has not for ``device.timeout`` seconds.
        """

    @property
    def earlier_folder(self) -> Path | None:
        """The folder of the run, for a leader whose launcher starts it again after a process died."""
        return None

    @abstractmethod
    def connect(self, device: torch.device, timeout: float) -> None:
        """Let tensors on a device be exchanged, each time within ``timeout`` seconds. Raises ConfigError."""

    def begin_in(self, folder: Path | None) -> Path:
        """Return the leader's folder of the run, which it has made, to all."""
        if folder is None:
            raise ValueError("the leader names no folder")
        return folder


class OneProcess(Group):
    """A run of one process, which exchanges with nobody."""

    rank, size = 0, 1

    def connect(self, device: torch.device, timeout: float) -> None:
        """Do nothing."""

    def gather(self, x: Tensor) -> list[Tensor]:
        return [x]

    def sum(self, x: Tensor) -> Tensor:
        return x

    def exchange(self, value: Any) -> list[Any]:
        return [value]

    def share(self, value: Any) -> Any:
        return value

    def wait(self) -> None:
        """Return at once."""
