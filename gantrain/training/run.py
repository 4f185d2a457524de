"""One run from config to result: build, train, and write ``result.json``."""

import logging
import time
from contextlib import closing, suppress
from pathlib import Path
from shlex import quote
from typing import Any

from gantrain.config.game import chance, meaning
from gantrain.config.options import Config
from gantrain.config.validate import cautions
from gantrain.core.atomic import replace_file
from gantrain.core.files import write_json
from gantrain.core.run_folder import DONE, PLUGINS, RunFolder
from gantrain.core.signals import leave
from gantrain.core.text import count, escape_controls
from gantrain.datasets.base import Data
from gantrain.distributed.group import Group
from gantrain.errors import ConfigError, Diverged, Interrupted, OutputError, Pruned, to_user_error, writing
from gantrain.reports.end_table import metric_table
from gantrain.reports.tail import tail_errors, tail_means
from gantrain.tracking.run_log import logging_to
from gantrain.tracking.tensorboard import (
    charts_summary,
    differing_keys,
    hparams_columns,
    hparams_row,
    run_page,
)
from gantrain.tracking.tracker import Tracker
from gantrain.training.begin import Steps, initial_state
from gantrain.training.checkpoint import Checkpoint
from gantrain.training.evaluate import expected_tags, supported_metrics
from gantrain.training.follower import follow
from gantrain.training.housekeeping import Housekeeping
from gantrain.training.restore import check_same_data, write_config
from gantrain.training.runtime import Runtime
from gantrain.training.session import Session
from gantrain.training.state import TrainState
from gantrain.training.stop_signal import StopSignal

log = logging.getLogger("gantrain")


def prepare(config: Config, resumed: Checkpoint | None = None) -> Data:
    """Load a run's data and check that the run fits it; nothing is written.

    Args:
        config: A resolved run.
        resumed: The checkpoint to continue from, whose data these must be.

    Raises:
        DataError: For data that cannot be read, or are not those of the checkpoint.
        ConfigError: For a batch larger than the data, or when no metric fits it.
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
    supported_metrics(config, data)
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
    began = time.perf_counter()
    files, stop_signal = RunFolder(folder), StopSignal(folder, runtime.group)
    with files.lock(), logging_to(folder):
        result: dict[str, Any] = {"status": "running", "name": config.name, "seed": config.seed}
        try:
            with stop_signal.listening():
                write_config(config, folder)
                data = data or prepare(config, resumed)
                state, description = initial_state(config, folder, data, runtime, resumed)
                if PLUGINS in description:
                    result[PLUGINS] = description[PLUGINS]
                if config.dataset.files.entries:
                    replace_file(files.data_file, config.dataset.files.content)
                with stop_signal.waiting():
                    result |= _train(config, folder, data, state, runtime, session, stop_signal, resumed)
                    leave()  # what is left to write is the result
        except BaseException as error:
            leave()
            user_error = to_user_error(error)
            result |= {"status": _status(error), "error": str(user_error), "exit_code": user_error.exit_code}
            if isinstance(error, Pruned):
                result |= {"step": error.step, "metrics": error.metrics}
            raise
        finally:
            result["seconds"] = round(time.perf_counter() - began, 2)
            _write_result(files, result)
    return result


def _write_result(run: RunFolder, result: dict[str, Any]) -> None:
    """Write ``result.json``. Raises OutputError if that fails, but for a run that failed, whose error comes first."""
    try:
        with writing(run.result_file, then=f"gantrain resume {quote(str(run.path))}"):
            write_json(run.result_file, result)
    except OutputError as error:
        with suppress(OSError):  # that of an earlier attempt would be taken for this one's
            run.result_file.unlink(missing_ok=True)
        if result["status"] not in DONE:
            log.warning("%s", error)
            return
        if result["status"] == "finished":
            log.warning("%s", metric_table(result))  # its numbers are in no file
        raise


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
    # A run that starts again in a folder drops what an earlier attempt logged there.
    tracker = Tracker(folder, state.step if resumed else -1)
    _log_start(config, folder, data, runtime)
    # What a run does besides training; a resumed one goes on with the state of its logs.
    housekeeping = Housekeeping(folder, config, data, runtime, tracker, state, session, stop_signal)
    if resumed:
        housekeeping.resume(resumed)
    steps = Steps(config, data, state, runtime)
    # Train; a signal ends the run after the current step.
    with closing(tracker), closing(housekeeping.bar):
        if resumed:
            housekeeping.catch_up(state)
        else:
            tracker.record(0, hparams_row(config, session.overrides, folder))
            if session.plan and session.plan.tags:
                jobs = [job.overrides for job in session.plan.jobs]
                tracker.record(0, hparams_columns(differing_keys(jobs), session.plan.tags))
            tracker.record(0, charts_summary(expected_tags(config)))
            tracker.text(0, "run/config", run_page(session.command, config, runtime.environment()))
            housekeeping.begin(state)
        steps.play(housekeeping.means.add, housekeeping)
    # The result. Speed is that of this process, which made the steps from ``began`` on.
    images = state.batches * config.train.batch_size
    began = resumed.step if resumed else 0
    evaluation, history = housekeeping.last_evaluation, tracker.history()
    final = evaluation.final
    return {
        "status": "finished",
        "compiled": runtime.compile_failure or runtime.is_compiled,
        "stopped_by": config.train.budget,
        "step": state.step,
        "images": images,
        "training_seconds": round(state.seconds, 2),
        "images_per_second": round(images * (1 - began / state.step) / max(housekeeping.seconds, 1e-9), 1),
        **evaluation.description(),
        "health": [str(finding) for finding in housekeeping.health.standing.values()],
        "unchecked": housekeeping.health.blind_spots(),
        "tail": tail_means(history, state.step),
        "tail_errors": tail_errors(history, state.step, {*final, *config.metric.published}, final),
        "published": config.metric.published,
        "meaning": meaning(config),
        "chance": chance(config),
    }


def _log_start(config: Config, folder: Path, data: Data, runtime: Runtime) -> None:
    """Log what is trained, on what, and what is seldom meant."""
    if data.summary:
        log.info("%s", escape_controls(data.summary))
    log.info("%s on %s, %s: %s", config.name, runtime.device, count(runtime.threads, "thread"), folder)
    log.info("%s", meaning(config))
    for line in cautions(config):
        log.warning("%s", line)


def _status(error: BaseException) -> str:
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return "interrupted"
    return "diverged" if isinstance(error, Diverged) else "pruned" if isinstance(error, Pruned) else "failed"
