"""Tensors between the processes of one machine: each writes its own into memory that all map, and wakes the others."""

from __future__ import annotations

import mmap
import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from gantrain.distributed.group import Group

CAPACITY = 4 * 2**20  # bytes of a process's tensor; a larger one takes so long that the way hardly matters


class SharedMemory:
    """Memory that all processes of a run map, and a socket to each of the others.

    A byte on each socket says that a process has written. One that dies closes its sockets, which wakes the others.

    Args:
        rank: The number of this process.
        peers: The sockets, in any order.
        file: Its descriptor, of twice ``CAPACITY`` bytes for each process; closed here.
    """

    def __init__(self, rank: int, peers: list[socket.socket], file: int):
        self._rank, self._peers, self._turn, size = rank, peers, 0, len(peers) + 1
        memory = mmap.mmap(file, 2 * size * CAPACITY)
        os.close(file)
        self._slots = torch.frombuffer(memory, dtype=torch.uint8).view(2, size, CAPACITY)

    @staticmethod
    def fits(x: Tensor) -> bool:
        """Return whether a tensor can be gathered here."""
        return x.device.type == "cpu" and x.nbytes <= CAPACITY

    def gather(self, x: Tensor) -> list[Tensor]:
        """Return the tensors of all processes, equal in shape, in the order of their ranks. Raises OSError."""
        # Of two slots in turn: whoever writes into one has heard from all others since they read it.
        self._turn += 1
        slot = self._slots[self._turn % 2, :, : x.nbytes].view(x.dtype)
        slot[self._rank].copy_(x.flatten())
        for peer in self._peers:
            peer.send(b".")
        for peer in self._peers:
            if not peer.recv(1):
                raise ConnectionError("a process has ended")
        return list(slot.reshape(-1, *x.shape).clone())

    def close(self) -> None:
        """Wake the processes that wait for this one, which gathers no more."""
        for peer in self._peers:
            peer.close()


def open_shared_memory(group: Group, timeout: float) -> SharedMemory | None:
    """Return memory that all processes map, or None where they do not share a machine, which has to be Linux.

    Args:
        group: The processes, all of which call this.
        timeout: Seconds to wait for another.

    Raises:
        OSError: When a process ends meanwhile.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        server, peers = stack.enter_context(socket.socket(socket.AF_UNIX)), list[socket.socket]()
        file, is_ready = -1, sys.platform == "linux"
        try:
            server.bind(str(folder / "socket"))
            server.listen(group.size)
            if group.is_leader and is_ready:
                file = os.memfd_create("gantrain")
                os.ftruncate(file, 2 * group.size * CAPACITY)
        except OSError:  # as for a long path
            is_ready = False
        addresses = group.exchange(str(folder / "socket") if is_ready else None)
        try:
            for address in addresses[: group.rank]:
                peers.append(socket.socket(socket.AF_UNIX))
                peers[-1].connect(address or "")
        except OSError:  # in another container, which may have the same name
            is_ready = False
        if not all(group.exchange(is_ready)):
            for peer in peers:
                peer.close()
            if file >= 0:
                os.close(file)
            return None
        peers += [server.accept()[0] for _ in range(group.rank + 1, group.size)]
        for peer in peers:
            peer.settimeout(timeout)
        if group.is_leader:
            for peer in peers:
                socket.send_fds(peer, [b"."], [file])
        else:
            _, files, _, _ = socket.recv_fds(peers[0], 1, 1)  # the leader's
            if not files:
                raise ConnectionError("rank 0 has ended")
            file = files[0]
        return SharedMemory(group.rank, peers, file)
