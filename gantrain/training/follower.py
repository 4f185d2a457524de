"""What a process that does not lead its run does between steps: it takes part in evaluations, and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from gantrain.config.options import Config
from gantrain.datasets.base import Data
from gantrain.training.begin import Steps, initial_state
from gantrain.training.checkpoint import Checkpoint
from gantrain.training.due import Due
from gantrain.training.equal_states import check_equal_states
from gantrain.training.evaluations import Evaluations
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.stop_signal import StopSignal


def follow(config: Config, folder: Path, runtime: Runtime, resumed: Checkpoint | None, data: Data) -> None:
    """Play a run that another process leads, which writes all of it; arguments as for ``run``."""
    stop_signal = StopSignal(folder, runtime.group)
    with stop_signal.listening():
        state, _ = initial_state(config, folder, data, runtime, resumed)
        with stop_signal.waiting():
            follower = Follower(config, data, runtime, stop_signal)
            steps = Steps(config, data, state, runtime)
            follower.begin(state, is_resumed=resumed is not None)
            steps.play(follower.add, follower)


class Follower:
    """Called once after each step with the state, as the leader's ``Housekeeping`` is."""

    def __init__(self, config: Config, data: Data, runtime: Runtime, stop_signal: StopSignal):
        self.config, self.runtime, self.stop_signal = config, runtime, stop_signal
        self.evaluate = Evaluations(config, data, runtime)

    def add(self, tags: Mapping[str, Tensor]) -> None:
        """Leave the means of what updates report to the leader, who has equal ones."""

    def begin(self, state: TrainState, is_resumed: bool) -> None:
        """Take part in what is left to do for a checkpoint's step, and wait for the leader's first pictures."""
        if is_resumed and self.runtime.group.share(None):
            self.evaluate(state)
        self.runtime.group.wait()

    def __call__(self, state: TrainState) -> None:
        """Do the process's part of what is due after the state's step; after a signal, raise Interrupted."""
        state.seconds = self.stop_signal.agree(state.seconds, self.config.train.time)
        due = Due.after(state.step, state.seconds, self.config.train)
        if due.checkpoint:
            check_equal_states(state, self.runtime.group)
        if due.evaluation and not self.stop_signal.agreed_number:
            self.evaluate(state)
        if due.takes_long or self.stop_signal.agreed_number:
            self.runtime.group.wait()  # a leader that ends instead, as for a signal, ends this process too
        if self.stop_signal.agreed_number:
            raise self.stop_signal.interruption(state.step, due.is_last)
