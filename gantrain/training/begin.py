"""From checked data to the first step of a process: networks and their weights, threads, and the kind of play."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gantrain.config.options import Config
from gantrain.datasets.base import Data
from gantrain.training.batches import training_batches
from gantrain.training.checkpoint import Checkpoint
from gantrain.training.early_stop import held_out_batch
from gantrain.training.loop import Report, train
from gantrain.training.play import Play
from gantrain.training.restore import describe, load_weights
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.steps import choose_play, step_of
from gantrain.training.threads import set_threads


def initial_state(
    config: Config, folder: Path, data: Data, runtime: Runtime, resumed: Checkpoint | None
) -> tuple[TrainState, dict[str, Any]]:
    """Return the state before this process's first step, and what checkpoints say of the run."""
    state = TrainState.create(config, data.spec, runtime)
    environment = resumed.environment if resumed else None
    set_threads(config, data, state, environment)
    choose_play(config, data, state, runtime, environment)
    description = describe(config, data, runtime)
    load_weights(state, config, resumed, description, folder)
    return state, description


class Steps:
    """The steps of a run that this process has still to play, prepared for the first of them."""

    def __init__(self, config: Config, data: Data, state: TrainState, runtime: Runtime):
        self._config, self._state, self._runtime = config, state, runtime
        self._batches = training_batches(data, config, runtime.device, runtime.group)
        self._held_out = None if config.train.d_gain is None else held_out_batch(data, config, runtime)
        self._advance = step_of(state, Play.create(config, runtime), runtime)
        if not config.train.is_over(state.step, state.seconds):
            self._advance.prepare(self._batches)

    def play(self, report: Report, housekeeping: Callable[[TrainState], None]) -> None:
        """Play them as ``train`` does, also in what it raises."""
        train(
            self._state,
            self._batches,
            self._config,
            self._runtime,
            report,
            housekeeping,
            self._held_out,
            self._advance,
        )
