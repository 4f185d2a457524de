"""A run between its first step and its result: its networks and data, and all that is written of it."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any

from gantrain.config.cautions import cautions
from gantrain.config.game import chance, meaning
from gantrain.config.moving import way_left
from gantrain.config.options import Config
from gantrain.core.atomic import replace_file
from gantrain.core.files import write_json
from gantrain.core.run_address import BEST, best_of
from gantrain.core.run_folder import DONE, PLUGINS, RunFolder
from gantrain.core.text import count, escape_controls
from gantrain.datasets.base import Data
from gantrain.errors import Diverged, GantrainError, Interrupted, OutputError, Pruned, to_user_error, writing
from gantrain.reports.end_table import metric_table
from gantrain.reports.tail import tail_errors, tail_means
from gantrain.tracking.tensorboard import (
    charts_summary,
    differing_keys,
    hparams_columns,
    hparams_row,
    run_page,
)
from gantrain.tracking.tracker import Tracker
from gantrain.training.batches import equal_shares
from gantrain.training.checkpoint import Checkpoint
from gantrain.training.evaluate import expected_tags
from gantrain.training.housekeeping import Housekeeping
from gantrain.training.runtime import Runtime
from gantrain.training.session import Session
from gantrain.training.state import TrainState
from gantrain.training.stop_signal import StopSignal

log = logging.getLogger("gantrain")


class OpenRun:
    """A run whose networks and data are there: what it does besides its steps, up to its result.

    Args:
        config: A resolved run.
        folder: Where it writes.
        data: Its data.
        state: Before its first step, or as in ``resumed``.
        runtime: Device and precision.
        session: How the run was started.
        stop_signal: Receives signals.
        resumed: The checkpoint to continue from, in the same folder.
        now: A clock in seconds that runs while the run trains.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        data: Data,
        state: TrainState,
        runtime: Runtime,
        session: Session,
        stop_signal: StopSignal,
        resumed: Checkpoint | None = None,
        now: Callable[[], float] = time.perf_counter,
    ):
        self.config, self.folder, self.data, self.state = config, folder, data, state
        self.runtime, self.session, self.resumed = runtime, session, resumed
        # A run that starts again in a folder drops what an earlier attempt logged there.
        self.tracker = Tracker(folder, state.step if resumed else -1)
        self._log_start()
        # What a run does besides training; a resumed one goes on with the state of its logs.
        self.housekeeping = Housekeeping(
            folder, config, data, runtime, self.tracker, state, session, stop_signal, now
        )
        if resumed:
            self.housekeeping.resume(resumed)

    def _log_start(self) -> None:
        """Log what is trained, on what, and what is seldom meant."""
        config, runtime = self.config, self.runtime
        if self.data.summary:
            log.info("%s", escape_controls(self.data.summary))
        if shares := equal_shares(self.data, config):
            log.info("%s", shares)
        threads = count(runtime.threads, "thread")
        log.info("%s on %s, %s: %s", config.name, runtime.device, threads, self.folder)
        if config.chosen:
            words = " ".join(f"{key}={value}" for key, value in config.chosen.items())
            log.info("chosen for %s on %s: %s", config.spec.describe(), runtime.device.type, words)
        log.info("%s", meaning(config))
        for line in cautions(config):
            log.warning("%s", line)

    def begin(self) -> None:
        """Write what comes before the first step, or what a checkpoint's step still lacks."""
        if self.resumed:
            self.housekeeping.catch_up(self.state)
            return
        config, session, tracker = self.config, self.session, self.tracker
        tracker.record(0, hparams_row(config, session.overrides, self.folder))
        if session.plan and session.plan.tags:
            jobs = [job.overrides for job in session.plan.jobs]
            tracker.record(0, hparams_columns(differing_keys(jobs), session.plan.tags))
        tracker.record(0, charts_summary(expected_tags(config)))
        tracker.text(0, "run/config", run_page(session.command, config, self.runtime.environment()))
        self.housekeeping.begin(self.state)

    def result(self) -> dict[str, Any]:
        """Return what ``result.json`` holds of a run that has finished."""
        config, state, housekeeping = self.config, self.state, self.housekeeping
        if config.train.time is not None and (left := way_left(config, state.step)):
            what = "train.%s ended the run with %.0f %% of the way of its learning rates still to go"
            log.warning(what, config.train.budget, 100 * left)
        # Speed is that of this process, which made the steps from ``began`` on.
        images = state.batches * config.train.batch_size
        began = self.resumed.step if self.resumed else 0
        evaluation, history = housekeeping.last_evaluation, self.tracker.history()
        final = evaluation.final
        return {
            "status": "finished",
            "compiled": self.runtime.compile_failure or self.runtime.is_compiled,
            "stopped_by": config.train.budget,
            "step": state.step,
            "images": images,
            "training_seconds": round(state.seconds, 2),
            "images_per_second": round(
                images * (1 - began / state.step) / max(housekeeping.seconds, 1e-9), 1
            ),
            **evaluation.description(),
            **({BEST: housekeeping.best.plain()} if config.train.keep_best else {}),
            "health": [str(finding) for finding in housekeeping.health.standing.values()],
            "unchecked": housekeeping.health.blind_spots(),
            "tail": tail_means(history, state.step),
            "tail_errors": tail_errors(history, state.step, {*final, *config.metric.published}, final),
            "published": config.metric.published,
            "meaning": meaning(config),
            "chance": chance(config),
        }

    def close(self) -> None:
        """Close what it writes."""
        self.housekeeping.bar.close()
        self.tracker.close()


def record_origin(config: Config, folder: Path, description: Mapping[str, Any]) -> dict[str, Any]:
    """List the files of a run's data in its folder, and return what its result says of plug-ins."""
    if config.dataset.files.entries:
        replace_file(RunFolder(folder).data_file, config.dataset.files.content)
    return {PLUGINS: description[PLUGINS]} if PLUGINS in description else {}


def failure(error: BaseException, run: RunFolder) -> dict[str, Any]:
    """Return what ``result.json`` holds of a run that an error ended, with the best state that it kept until then."""
    user_error = to_user_error(error)
    result = {"status": _status(error), "error": str(user_error), "exit_code": user_error.exit_code}
    if isinstance(error, Pruned):
        result |= {"step": error.step, "metrics": error.metrics}
    with suppress(
        GantrainError, OSError
    ):  # a checkpoint that cannot be read; the error that ended the run comes first
        if best := best_of(run):
            result[BEST] = best
    return result


def _status(error: BaseException) -> str:
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return "interrupted"
    return "diverged" if isinstance(error, Diverged) else "pruned" if isinstance(error, Pruned) else "failed"


def write_result(run: RunFolder, result: dict[str, Any]) -> None:
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
