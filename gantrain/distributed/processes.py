"""A group of processes: tensors by gloo, nccl or shared memory, plain data by the store of their launcher."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gantrain.distributed.group import Group
from gantrain.distributed.messages import Messages
from gantrain.distributed.shards import tree_sum
from gantrain.distributed.shared_memory import SharedMemory, open_shared_memory
from gantrain.errors import ConfigError, GantrainError, Interrupted, ProcessLost

T = TypeVar("T")


class Processes(Group):
    """The processes that a launcher started, of which this is one.

    Args:
        store: What all of them read and write; it may outlive them, and hold what earlier ones wrote.
        attempt: The number of the attempt to play the run.
        rank: The number of this process.
        size: How many there are.
        local_rank: Its number among those of its machine.
    """

    def __init__(self, store: dist.Store, attempt: int, rank: int, size: int, local_rank: int = 0):
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self._memory, self._store = store, dist.PrefixStore(f"{attempt}", store)
        self._messages, self._turn = Messages(self._store, rank, size), 0
        self._shared: SharedMemory | None = None

    @property
    def earlier_folder(self) -> Path | None:
        if self.is_leader and self._memory.check(["folder"]):
            return Path(self._memory.get("folder").decode())
        return None

    def begin_in(self, folder: Path | None) -> Path:
        place = self._messages.folder = Path(self.share(folder and str(folder)))
        if self.is_leader:
            self._memory.set("folder", str(place))
        return place

    def connect(self, device: torch.device, timeout: float) -> None:
        if device.type not in ("cpu", "cuda"):
            what = f"{device.type} does not exchange tensors between processes"
            raise ConfigError("device.processes", what, "set device=cpu or device.processes=1")
        self._messages.timeout = timeout
        places = {tuple(place) for place in self.exchange([socket.gethostname(), str(device)])}
        dist.init_process_group(
            # nccl refuses processes that share a GPU, and tensors of the CPU.
            "cpu:gloo,cuda:nccl" if device.type == "cuda" and len(places) == self.size else "gloo",
            store=dist.PrefixStore("tensors", self._store),
            rank=self.rank,
            world_size=self.size,
            timeout=timedelta(seconds=timeout),
        )
        if len({machine for machine, _ in places}) == 1:
            self._shared = self._collect(lambda: open_shared_memory(self, timeout))

    def gather(self, x: Tensor) -> list[Tensor]:
        if (shared := self._shared) and shared.fits(x):
            return self._collect(lambda: shared.gather(x))
        every = list(x.new_empty((self.size, *x.shape)))
        self._collect(lambda: dist.all_gather(every, x.contiguous()))
        return every

    def sum(self, x: Tensor) -> Tensor:
        if self._shared and self._shared.fits(x):
            return tree_sum(self.gather(x))
        total = x.clone()
        self._collect(lambda: dist.all_reduce(total))
        return total

    def exchange(self, value: Any) -> list[Any]:
        self._turn += 1
        self._messages.send(f"{self._turn}/{self.rank}", value)
        return [self._messages.receive(f"{self._turn}/{rank}", rank) for rank in range(self.size)]

    def share(self, value: Any) -> Any:
        self._turn += 1
        if self.is_leader:
            self._messages.send(f"{self._turn}/0", value)
        return self._messages.receive(f"{self._turn}/0", 0)

    def wait(self) -> None:
        self.share(None)

    def explain(self, error: GantrainError) -> GantrainError:
        """Return why this process ends: the loss of another, after which a launcher sends a signal to those left."""
        lost: list[int] = []
        if isinstance(error, Interrupted):
            with suppress(RuntimeError):  # the store went with its launcher
                lost = self._messages.lost_peers()
        return self._messages.loss_of(lost, 0.0) if lost else error

    def close(self, error: GantrainError | None = None) -> tuple[int, int]:
        """Leave the group, the others knowing why, once they have ended too: the leader, or as the leader all.

        Args:
            error: Why this process ends; None if it is done.

        Returns:
            The rank of the first process that ended with an error, which reports it, and the exit code of all.
        """
        # Without a store, which went with its launcher or with rank 0, nobody can agree on who reports.
        has_leader = self.is_leader or "TORCHELASTIC_RUN_ID" in os.environ
        first = 0 if has_leader else 1, error.exit_code if error else 0
        with suppress(RuntimeError):
            first = self._messages.end(error)
            # So that a process that waits for tensors of this one goes on.
            if self._shared:
                self._shared.close()
            if dist.is_initialized():
                dist.destroy_process_group()
            if not isinstance(error, ProcessLost):
                self._messages.wait_for_ends()
        self._messages.pulse.stop()
        return first

    def _collect(self, operation: Callable[[], T]) -> T:
        """Return the result of an operation of all. Raises ProcessLost, or the error of a process that has ended."""
        self._messages.pulse.collectives += 1
        began = time.monotonic()
        try:
            return operation()
        except (RuntimeError, OSError) as error:
            if lost := self._messages.find_loss(time.monotonic() - began):
                raise lost from error
            raise
