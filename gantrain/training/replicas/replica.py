"""One of several runs that are played at once: an ordinary run, with a log, errors and a result of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gantrain.config.options import Config
from gantrain.core.run_folder import RunFolder
from gantrain.datasets.base import Data
from gantrain.errors import Interrupted
from gantrain.tracking.run_log import file_handlers
from gantrain.training.batches import Batches, training_batches
from gantrain.training.checkpoint import Checkpoint
from gantrain.training.open_run import OpenRun, failure, record_origin, write_result
from gantrain.training.play import Play
from gantrain.training.restore import describe, load_weights, write_config
from gantrain.training.run import prepare
from gantrain.training.runtime import Runtime
from gantrain.training.session import Session
from gantrain.training.state import TrainState
from gantrain.training.stop_signal import StopSignal

log = logging.getLogger("gantrain")


@dataclass(frozen=True)
class Member:
    """A run that is to be played with others.

    Attributes:
        config: Resolved.
        folder: Where it writes.
        session: How it was started.
        resumed: The checkpoint to continue from.
    """

    config: Config
    folder: Path
    session: Session
    resumed: Checkpoint | None = None


class SharedSignal(StopSignal):
    """The signal that stops several runs: ``folder`` is that of the run which handles it.

    Attributes:
        is_urgent: Whether a second one came, after which nothing more is saved.
    """

    is_urgent = False

    def _receive(self, number: int) -> None:
        try:
            super()._receive(number)
        except Interrupted:
            self.is_urgent = True
            raise


class SharedCost:
    """Seconds of processor time of several runs: what one did alone is its own, and the rest is shared equally."""

    def __init__(self, runs: int):
        self.runs, self._began, self._alone = runs, time.process_time(), 0.0

    def add(self, seconds: float) -> None:
        """Take in what one of the runs did alone."""
        self._alone += seconds

    def share(self) -> float:
        """Return each run's part of what they did together so far."""
        return (time.process_time() - self._began - self._alone) / self.runs


class Replica:
    """A run among others, from its config to its result.

    Args:
        member: The run.
        runtime: Of all of them.
        stop_signal: Of all of them.
        cost: Of all of them.

    Attributes:
        is_over: Whether it has its result.
        opened: Once ``open`` was called.
    """

    opened: OpenRun
    data: Data
    state: TrainState

    def __init__(self, member: Member, runtime: Runtime, stop_signal: SharedSignal, cost: SharedCost):
        self.cost, self._alone = cost, 0.0
        self._attended: float | None = None  # since when, by the processor's clock
        self.member, self.runtime, self.stop_signal = member, runtime, stop_signal
        self.files, self.is_over = RunFolder(member.folder), False
        config = member.config
        self._result: dict[str, Any] = {"status": "running", "name": config.name, "seed": config.seed}
        self._began, self._handlers = time.perf_counter(), file_handlers(member.folder)

    def attend(self, action: Callable[[], None]) -> None:
        """Call what concerns this run alone, unless it is over: its log takes the messages, and an error ends it."""
        if self.is_over:
            return
        self.stop_signal.folder = self.files.path
        before, log.handlers = log.handlers, self._handlers
        self._attended = time.process_time()
        try:
            action()
        except Exception as error:
            if self.stop_signal.is_urgent:
                raise
            self.end(failure(error, self.files))
        finally:
            self._count()
            self._attended, log.handlers = None, before

    def _count(self) -> None:
        """Count the processor time since ``attend`` began, or since this was called, as its own."""
        if self._attended is None:
            return
        now = time.process_time()
        self._alone += now - self._attended
        self.cost.add(now - self._attended)
        self._attended = now

    def load(self) -> None:
        """Write the config, load the data, and make the networks."""
        config, resumed = self.member.config, self.member.resumed
        write_config(config, self.member.folder)
        self.data = prepare(config, resumed)
        self.state = TrainState.create(config, self.data.spec, self.runtime)

    def open(self, now: Callable[[], float]) -> None:
        """Load the weights that it begins with, and open what it writes; ``now`` is its clock, as of ``OpenRun``."""
        config, folder, resumed = self.member.config, self.member.folder, self.member.resumed
        description = describe(config, self.data, self.runtime)
        load_weights(self.state, config, resumed, description, folder)
        self._result |= record_origin(config, folder, description)
        self.opened = OpenRun(
            config,
            folder,
            self.data,
            self.state,
            self.runtime,
            self.member.session,
            self.stop_signal,
            resumed,
            now,
        )

    def batches(self) -> Batches:
        """Return its batches of data by number, on the CPU."""
        return training_batches(self.data, self.member.config, torch.device("cpu"))

    def play(self) -> Play:
        """Return what a step uses of it."""
        return Play.create(self.member.config, self.runtime)

    def keep_house(self) -> None:
        """Do what is due after the state's step; the last one ends the run."""
        self.opened.housekeeping(self.state)
        if self.opened.housekeeping.is_over(self.state):
            self.end(self.opened.result())

    def stop(self) -> None:
        """Save after a signal. Raises Interrupted."""
        self.opened.housekeeping.stop_if_requested(self.state)

    def end(self, result: dict[str, Any]) -> None:
        """Write the result of the run, if it has none yet, and close its files."""
        if self.is_over:
            return
        self.is_over = True
        if hasattr(self, "opened"):
            self.opened.close()
        self._result |= result
        self._result["seconds"] = round(time.perf_counter() - self._began, 2)
        self._count()
        self._result["cpu_seconds"] = round(self._alone + self.cost.share(), 2)
        try:
            write_result(self.files, self._result)
        finally:
            for handler in self._handlers:
                with suppress(OSError):  # a full disk has been reported
                    handler.close()
