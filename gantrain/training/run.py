"""One run from config to result: build, train, and write ``result.json``."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

from gantrain.config.options import Config
from gantrain.core.run_folder import RunFolder
from gantrain.core.signals import leave
from gantrain.datasets.base import Data
from gantrain.distributed.group import Group
from gantrain.errors import ConfigError
from gantrain.tracking.run_log import logging_to
from gantrain.training.begin import Steps, initial_state
from gantrain.training.best import check_keep_best
from gantrain.training.checkpoint import Checkpoint
from gantrain.training.evaluate import supported_metrics
from gantrain.training.follower import follow
from gantrain.training.open_run import OpenRun, failure, record_origin, write_result
from gantrain.training.restore import check_same_data, write_config
from gantrain.training.runtime import Runtime
from gantrain.training.session import Session
from gantrain.training.state import TrainState
from gantrain.training.stop_signal import StopSignal


def prepare(config: Config, resumed: Checkpoint | None = None) -> Data:
    """Load a run's data and check that the run fits it; nothing is written.

    Args:
        config: A resolved run.
        resumed: The checkpoint to continue from, whose data these must be.

    Raises:
        DataError: For data that cannot be read, or are not those of the checkpoint, or weights of features.
        ConfigError: For a batch larger than the data, when no metric fits it, or for another tag in
            ``train.keep_best`` than those that can be compared.
    """
    if resumed:
        check_same_data(config, resumed)
    data = config.dataset.load(config.seed)
    packing = config.model.packing
    if config.train.batch_size > len(data.train):
        what = f"is {config.train.batch_size} and there are {len(data.train)} training samples"
        most = len(data.train) // packing * packing
        raise ConfigError(
            "train.batch_size", what, f"set train.batch_size={most}" if most > 1 else "get more data"
        )
    if packing > 1 and config.objective.has_game and len(data.holdout) < 2 * packing:
        what = f"is {packing}, and {len(data.holdout)} held-out samples are not two packs, which an estimate needs"
        raise ConfigError("model.packing", what, "set model.packing=1, or hold out more data")
    if any(metric.reads_features for metric in supported_metrics(config, data)):
        config.features.check_weights()
    check_keep_best(config, data)
    return data


def run(
    config: Config,
    folder: Path,
    resumed: Checkpoint | None = None,
    session: Session | None = None,
    data: Data | None = None,
    group: Group | None = None,
) -> dict[str, Any]:
    """Train in a folder, and return what ``result.json`` holds.

    Args:
        config: A resolved run.
        folder: Where it writes; created when absent.
        resumed: The checkpoint to continue from, in the same folder.
        session: How the run was started.
        data: Of ``prepare`` for this config, if it was called before.
        group: The processes that play the run; None for this one alone.

    Returns:
        Nothing in a process that does not lead the run.

    Raises:
        GantrainError: Any user error, after ``result.json`` has its status.
    """
    runtime = Runtime(config.device, group)
    # In a function of its own, whose variables are gone when the device's memory is returned.
    with runtime.settings():
        if runtime.group.is_leader:
            return _lead(config, folder, runtime, resumed, session or Session(), data)
        follow(config, folder, runtime, resumed, data or prepare(config, resumed))
        return {}


def _lead(
    config: Config,
    folder: Path,
    runtime: Runtime,
    resumed: Checkpoint | None,
    session: Session,
    data: Data | None,
) -> dict[str, Any]:
    began, cpu_began = time.perf_counter(), time.process_time()
    files, stop_signal = RunFolder(folder), StopSignal(folder, runtime.group)
    with files.lock(), logging_to(folder):
        result: dict[str, Any] = {"status": "running", "name": config.name, "seed": config.seed}
        try:
            with stop_signal.listening():
                write_config(config, folder)
                data = data or prepare(config, resumed)
                state, description = initial_state(config, folder, data, runtime, resumed)
                result |= record_origin(config, folder, description)
                with stop_signal.waiting():
                    result |= _train(config, folder, data, state, runtime, session, stop_signal, resumed)
                    leave()  # what is left to write is the result
        except BaseException as error:
            leave()
            result |= failure(error, files)
            raise
        finally:
            result["seconds"] = round(time.perf_counter() - began, 2)
            result["cpu_seconds"] = round(time.process_time() - cpu_began, 2)
            write_result(files, result)
    return result


def _train(
    config: Config,
    folder: Path,
    data: Data,
    state: TrainState,
    runtime: Runtime,
    session: Session,
    stop_signal: StopSignal,
    resumed: Checkpoint | None,
) -> dict[str, Any]:
    opened = OpenRun(config, folder, data, state, runtime, session, stop_signal, resumed)
    steps = Steps(config, data, state, runtime)
    # Train; a signal ends the run after the current step.
    with closing(opened):
        opened.begin()
        steps.play(opened.housekeeping.means.add, opened.housekeeping)
    return opened.result()
