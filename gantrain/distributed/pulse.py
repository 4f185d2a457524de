"""Signs of life of the processes of a run: each shows that it lives, and sees when its launcher does not."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch.distributed as dist

BEAT_SECONDS = 1.0  # between two signs of life


class Beat(NamedTuple):
    """A sign of life of a process.

    Attributes:
        number: Of the sign; 0 before the first.
        collectives: Operations on tensors that the process has begun.
        pid: Its number in the system.
        machine: Where it runs.
    """

    number: int = 0
    collectives: int = 0
    pid: int = 0
    machine: str = ""


class Pulse:
    """A thread that writes a sign of life every second, and stops the process once its launcher is gone.

    Args:
        store: Where to write, a connection of its own.
        rank: The number of this process.

    Attributes:
        collectives: Operations on tensors that this process has begun.
    """

    def __init__(self, store: dist.Store, rank: int):
        self.collectives = 0
        self._store, self._key, self._over = store, f"beat/{rank}", threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, which may be waiting for a store that hangs."""
        self._over.set()
        self._thread.join(BEAT_SECONDS)

    def _run(self) -> None:
        number, parent = 0, os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else None
        while not self._over.is_set():
            number += 1
            with suppress(RuntimeError):  # the store went with its launcher
                beat = Beat(number, self.collectives, os.getpid(), socket.gethostname())
                self._store.set(self._key, json.dumps(beat))
            self._over.wait(BEAT_SECONDS)
            if parent is not None and os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)  # nobody else would end this process, which saves
                return


def end_sibling(beat: Beat) -> None:
    """Kill a process that hangs, if this one's parent started it too: a launcher waits half a minute for its end."""
    with suppress(OSError, ValueError):
        status = Path(f"/proc/{beat.pid}/stat").read_text().rpartition(")")[2].split()
        if beat.machine == socket.gethostname() and int(status[1]) == os.getppid():
            os.kill(beat.pid, signal.SIGKILL)
