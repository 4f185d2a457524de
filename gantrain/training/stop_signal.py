"""Signals that stop a run: it finishes the current step, or breaks off an evaluation, saves and exits."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from gantrain.core.run_folder import RunFolder
from gantrain.core.signals import (
    WARNINGS,
    StopRequest,
    handle_signals,
    last_act,
    leave,
    patience,
    stop_now,
)
from gantrain.distributed.group import Group, OneProcess
from gantrain.errors import Interrupted

ECHO_SECONDS = 0.25  # in which a repetition is the same request: ``timeout`` sends its signal twice


class StopSignal:
    """Remembers the first signal that stops a run; a second one, that is no warning, ends the run at once.

    Args:
        folder: The run's folder, for the message.
        group: The processes that play the run, which stop after the same step.

    Attributes:
        can_wait: Whether the run stops by itself after a signal, at the end of a step. Otherwise, as while its data
            load or its metrics are computed, a signal raises StopRequest at once.
    """

    def __init__(self, folder: Path, group: Group | None = None):
        self.folder, self._group = folder, group or OneProcess()
        self.can_wait = False
        self._received = self._agreed = 0
        self._since: float | None = None

    @property
    def number(self) -> int:
        """The first signal that this process received, or learnt of; 0 before there is one."""
        return self._received or self._agreed

    @property
    def agreed_number(self) -> int:
        """The signal that all processes of the run know of, since the last step; 0 for none."""
        return self._received if self._group.size == 1 else self._agreed

    def agree(self, seconds: float, limit: float | None) -> float:
        """Return the seconds of training after a step, by which all processes end it or go on, as for a signal.

        Args:
            seconds: By the leader's clock; by that of another process they stay those of the last agreement.
            limit: Their budget, which is passed once all know; None for none.
        """
        group = self._group
        if group.size == 1:
            return seconds
        if group.is_called():
            of_ranks = group.exchange([self._received, seconds])
            self._agreed = max(number for number, _ in of_ranks)
            leaders: float = of_ranks[0][1]
            return leaders
        if limit is None or seconds < limit:
            return seconds
        group.calls = True
        return math.nextafter(limit, 0.0)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Receive signals inside the block. Raises Interrupted for a StopRequest before the first step."""
        try:
            with handle_signals(self._receive, is_patient=False):
                yield
        except StopRequest as request:
            self._received = request.number
            raise self._interruption(f"stopped by {self._name} before it trained") from None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside the block a signal is only noted. Raises Interrupted at a second one, wherever the process is."""
        with self._mode(can_wait=True):
            yield

    @contextmanager
    def interruptible(self, save: Callable[[], None]) -> Iterator[None]:
        """Inside the block, which computes what can be computed again, a signal raises StopRequest at once.

        If a library's call keeps it from being raised, ``save`` is called from a thread before the process ends.
        """
        with self._mode(can_wait=False), last_act(save):
            if self.number:
                stop_now(self.number)
            yield

    def interruption(self, step: int, is_over: bool) -> Interrupted:
        """Return the error that ends the run after a saved step, ``is_over`` if that is the last one."""
        where = "after the last step, before its result" if is_over else f"at step {step}"
        return self._interruption(f"stopped by {self._name} {where}")

    @contextmanager
    def _mode(self, can_wait: bool) -> Iterator[None]:
        before, self.can_wait = self.can_wait, can_wait
        try:
            with patience(can_wait):
                yield
        finally:
            self.can_wait = before

    def _receive(self, number: int) -> None:
        # This may interrupt any line of Python, so it only stores the number, or raises.
        self._received = self._received or number
        self._group.calls = True
        if not self.can_wait:
            stop_now(self.number)
        if number in WARNINGS:
            return
        now = time.monotonic()
        if self._since is not None and now - self._since > ECHO_SECONDS:
            leave()
            raise self._interruption("stopped at once, without saving")
        self._since = self._since or now

    @property
    def _name(self) -> str:
        return signal.Signals(self.number).name

    def _interruption(self, what: str) -> Interrupted:
        # A folder without its config is no run yet; the same command may fill it.
        can_resume = RunFolder(self.folder).config_file.is_file()
        resume = f"go on with: gantrain resume {quote(str(self.folder))}"
        remedy = resume if can_resume else "nothing was lost: type the command again"
        return Interrupted(self.folder, what, remedy, exit_code=128 + self.number)
