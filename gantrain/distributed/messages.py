"""Plain data between the processes of a run, through the store of their launcher, and how each of them ends."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any

import torch.distributed as dist

from gantrain.core.signals import first_signal
from gantrain.distributed.pulse import BEAT_SECONDS, Beat, Pulse, end_sibling
from gantrain.errors import GantrainError, ProcessLost

SILENT_SECONDS = 4.0  # after which a process that should have ended is taken for dead
LEADER_SECONDS = 0.3  # in which the leader reports an error that all processes meet
MAX_PAUSE_SECONDS = 0.05  # between two looks at the store


class PeerError(GantrainError):
    """The error with which another process ended."""

    def __init__(self, where: str, what: str, remedy: str, exit_code: int):
        super().__init__(where, what, remedy)
        self.exit_code = exit_code


def plain_error(error: GantrainError) -> dict[str, Any]:
    """Return an error as plain data, the arguments of ``PeerError``."""
    texts = {"where": str(error.where), "what": str(error.what), "remedy": error.remedy}
    return texts | {"exit_code": error.exit_code}


class Messages:
    """What a process writes for the others, and waits for from them.

    The store is asked again and again rather than waited for, so that a signal reaches this process meanwhile. That it
    is gone raises ProcessLost, for its launcher has ended.

    Args:
        store: What all of them read and write, empty at first.
        rank: The number of this process.
        size: How many there are.

    Attributes:
        timeout: Seconds without a sign of life after which a process is lost.
        folder: Of the run, once it has one.
    """

    def __init__(self, store: dist.Store, rank: int, size: int):
        self.rank, self.others = rank, [other for other in range(size) if other != rank]
        self.timeout = 120.0
        self.folder: Path | None = None
        self.pulse = Pulse(store.clone(), rank)
        self._store = store

    def send(self, key: str, value: Any) -> None:
        """Write plain data, once for each key. Raises ProcessLost."""
        try:
            self._store.set(key, json.dumps(value))
        except RuntimeError as error:
            raise self._loss_of_store() from error

    def receive(self, key: str, rank: int) -> Any:
        """Return what a process has written, or will write, for a key.

        Raises:
            GantrainError: That with which it ended, or ProcessLost.
            SystemExit: For a leader that is done.
        """
        pause, before, silent, since = 0.001, None, 0.0, time.monotonic()
        try:
            while not self._store.check([key]):
                if self._store.check([f"end/{rank}"]) and not self._store.check([key]):
                    raise self._error_of(rank)
                # The launcher sends a signal to those that are left when one has died.
                limit = min(self.timeout, SILENT_SECONDS) if first_signal() else self.timeout
                beat, now = self._beat(rank), time.monotonic()
                # A store that stood still is no silence of the process: a look counts for a beat at most.
                silent = 0.0 if beat != before else silent + min(now - since, BEAT_SECONDS)
                if silent > limit:
                    raise self.loss_of([rank], silent)
                before, since = beat, now
                time.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)
            return json.loads(self._store.get(key))
        except RuntimeError as error:
            raise self._loss_of_store() from error

    def find_loss(self, seconds: float) -> GantrainError | None:
        """Return why tensors did not arrive: a process ended with an error, or does not beat, or lags behind.

        Args:
            seconds: For which they were waited for.

        Returns:
            None if all processes go on.
        """
        try:
            before, deadline = (
                {rank: self._beat(rank) for rank in self.others},
                time.monotonic() + SILENT_SECONDS,
            )
            while time.monotonic() < deadline:
                for rank in self.others:
                    if self._store.check([f"end/{rank}"]):
                        return self._error_of(rank)
                time.sleep(MAX_PAUSE_SECONDS)
            after = {rank: self._beat(rank) for rank in self.others}
            missing = [rank for rank in self.others if after[rank] == before[rank]]
            behind = [rank for rank in self.others if after[rank].collectives < self.pulse.collectives]
            return self.loss_of(missing or behind, seconds) if missing or behind else None
        except RuntimeError:
            return self._loss_of_store()

    def lost_peers(self) -> list[int]:
        """Return the processes that neither stop, as this one does, nor beat."""
        before, others = {rank: self._beat(rank) for rank in self.others}, self.others
        self._store.set(f"stop/{self.rank}", "")
        deadline = time.monotonic() + SILENT_SECONDS
        while others and time.monotonic() < deadline:
            time.sleep(MAX_PAUSE_SECONDS / 5)
            others = [
                rank
                for rank in others
                if self._beat(rank) == before[rank]
                and not any(self._store.check([f"{key}/{rank}"]) for key in ("stop", "end"))
            ]
        return others

    def end(self, error: GantrainError | None) -> tuple[int, int]:
        """Write how this process ends.

        Returns:
            The rank of the first process that ended with an error, which reports it, and the exit code of all.
        """
        first = 0, 0
        if error:
            deadline = time.monotonic() + (0 if self.rank == 0 else LEADER_SECONDS)
            while not self._store.check(["error"]) and time.monotonic() < deadline:
                time.sleep(MAX_PAUSE_SECONDS)
            own = json.dumps([self.rank, error.exit_code])
            rank, code = json.loads(self._store.compare_set("error", "", own))
            first = int(rank), int(code)
        self._store.set(f"end/{self.rank}", json.dumps(error and plain_error(error)))
        return first

    def wait_for_ends(self) -> None:
        """Wait until the leader has ended, since a launcher then stops all; the leader waits a moment for all."""
        if self.rank > 0:
            with suppress(GantrainError, SystemExit):
                self.receive("end/0", 0)
            return
        deadline = time.monotonic() + SILENT_SECONDS
        while not self._store.check([f"end/{rank}" for rank in self.others]) and time.monotonic() < deadline:
            time.sleep(MAX_PAUSE_SECONDS)

    def loss_of(self, ranks: list[int], seconds: float) -> ProcessLost:
        """Return the error for processes that are gone, or were silent for so long; those that hang here are ended."""
        is_stalled = seconds >= 0.9 * self.timeout
        if is_stalled:
            for rank in ranks:
                end_sibling(self._beat(rank))
        what = f"did not answer for {seconds:.0f} s" if is_stalled else "its process has ended"
        return ProcessLost(", ".join(f"rank {rank}" for rank in ranks), what, self._remedy())

    def _error_of(self, rank: int) -> GantrainError:
        """Return the error with which a process has ended. Raises SystemExit for a leader that is done."""
        plain = json.loads(self._store.get(f"end/{rank}"))
        if plain is None and rank == 0:
            raise SystemExit(0)
        return PeerError(**plain) if plain else self.loss_of([rank], 0.0)

    def _beat(self, rank: int) -> Beat:
        key = f"beat/{rank}"
        return Beat(*json.loads(self._store.get(key))) if self._store.check([key]) else Beat()

    def _loss_of_store(self) -> ProcessLost:
        where = "launcher" if "TORCHELASTIC_RUN_ID" in os.environ else "rank 0"
        return ProcessLost(where, "its process has ended", self._remedy())

    def _remedy(self) -> str:
        begun, most = (
            os.environ.get(f"TORCHELASTIC_{name}", "0") for name in ("RESTART_COUNT", "MAX_RESTARTS")
        )
        if int(begun) < int(most):
            return "the launcher starts all of them again"
        return (
            f"go on with: gantrain resume {quote(str(self.folder))}"
            if self.folder
            else "type the command again"
        )
