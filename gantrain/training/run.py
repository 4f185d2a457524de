"""One run from config to result: build, train, and write down what came of it."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import Any

from gantrain.config.options import Config
from gantrain.config.validate import cautions
from gantrain.core.files import write_json
from gantrain.core.plugins import versions
from gantrain.core.run_folder import DIFFERS, RunFolder
from gantrain.datasets.base import Data
from gantrain.errors import (
    CheckpointError,
    ConfigError,
    Diverged,
    GantrainError,
    Interrupted,
    Pruned,
    as_fault,
)
from gantrain.reports.text import tail_means
from gantrain.tracking import tensorboard as dashboard
from gantrain.tracking.run_log import logging_to
from gantrain.tracking.tracker import Tracker
from gantrain.training.batches import Batches, visible_split
from gantrain.training.checkpoint import Checkpoint, load_checkpoint
from gantrain.training.device import Runtime
from gantrain.training.early_stop import held_out_batch
from gantrain.training.evaluate import fitting
from gantrain.training.expected_tags import expected
from gantrain.training.housekeeping import Housekeeping, Session
from gantrain.training.loop import train
from gantrain.training.restore import describe
from gantrain.training.state import TrainState

log = logging.getLogger("gantrain")


def prepare(config: Config) -> Data:
    """Load a run's data and see that the run fits it; nothing is written.

    Raises:
        DataError: For data that cannot be read.
        ConfigError: For a batch that is larger than the data, or metrics of which none fits it.
    """
    data = config.dataset.load(config.seed)
    if config.train.batch_size > len(data.train):
        what = f"is {config.train.batch_size} and there are {len(data.train)} training samples"
        raise ConfigError("train.batch_size", what, "lower it")
    fitting(config, data)
    return data


def transfer(state: TrainState, ancestor: Checkpoint) -> None:
    """Give both players the weights of another run, as far as they have the same names and shapes.

    Raises:
        CheckpointError: When nothing in it fits.
    """
    taken, fresh = state.adopt(ancestor.tensors)
    # Biases of one number fit anywhere; players of one number have nothing else.
    if not taken or (fresh and all(ancestor.tensors[name].dim() < 2 for name in taken)):
        remedy = "choose the model that it was trained with"
        raise CheckpointError(ancestor.path, "holds no weights of these players' names and shapes", remedy)
    log.info("%d tensors from %s", len(taken), ancestor.path)
    if fresh:
        log.warning(
            "these start fresh, since %s has none of their shape: %s", ancestor.path, ", ".join(fresh)
        )


def run(
    config: Config,
    folder: Path,
    resumed: Checkpoint | None = None,
    session: Session | None = None,
    data: Data | None = None,
) -> dict[str, Any]:
    """Train in a folder and return what ``result.json`` holds.

    Args:
        config: A resolved run.
        folder: Where it writes; made when it is not there.
        resumed: The checkpoint to go on from, which lies in the folder.
        session: How the run was asked for.
        data: What ``prepare`` gave for this config, when it was asked before.

    Raises:
        GantrainError: Any fault of the user's, after ``result.json`` has its status.
    """
    began = time.perf_counter()
    runtime, files = Runtime(config.device), RunFolder(folder)
    with files.lock(), logging_to(folder):
        result: dict[str, Any] = {"status": "running", "name": config.name, "seed": config.seed}
        try:
            data = data or prepare(config)
            state = TrainState.create(config, data.spec, runtime)
            described = describe(config, data, runtime)
            if resumed:
                state.load(resumed.tensors, resumed.step, resumed.path)
                state.seconds = resumed.seconds
                warn_of_changes(
                    resumed.environment | versions(resumed.plugins, folder),
                    described["environment"] | versions(described.get("plugins", {}), folder),
                )
            elif config.train.init_from:
                transfer(state, load_checkpoint(config.train.init_from))
            result |= {key: described[key] for key in ("plugins",) if key in described}
            write_json(files.config_file, described["config"] | {DIFFERS: described[DIFFERS]})
            result |= _play(config, folder, data, state, runtime, session or Session(), resumed)
        except GantrainError as error:
            result |= {"status": _status(error), "error": str(error), "exit_code": error.exit_code}
            if isinstance(error, Pruned):
                result |= {"step": error.step, "metrics": error.metrics}
            raise
        except BaseException as error:
            fault = as_fault(error)
            result |= {"status": _status(error), "error": str(fault), "exit_code": fault.exit_code}
            raise
        finally:
            result["seconds"] = round(time.perf_counter() - began, 2)
            with contextlib.suppress(OSError):  # a full disk must not hide the error that is on its way
                write_json(files.result_file, result)
    return result


def _play(
    config: Config,
    folder: Path,
    data: Any,
    state: TrainState,
    runtime: Runtime,
    session: Session,
    resumed: Checkpoint | None,
) -> dict[str, Any]:
    # A run that starts again in a folder keeps nothing of the attempt before.
    tracker = Tracker(folder, state.step if resumed else -1)
    log.info("%s on %s, %d threads: %s", config.name, runtime.device, runtime.threads, folder)
    log.info("%s", config.objective.meaning)
    for line in cautions(config):
        log.warning("%s", line)
    keeper = Housekeeping(folder, config, data, runtime, tracker, state, session)
    if resumed:
        keeper.means.load(resumed.tensors, runtime.device)
        keeper.recall(state)
    batches = Batches(visible_split(data.train, config), config.train.batch_size, config.seed, runtime.device)
    try:
        with keeper.listening():
            if not resumed:
                tracker.record(0, dashboard.hparams_row(config, session.given))
                tracker.record(0, dashboard.charts(expected(config)))
                tracker.text(0, "run/config", dashboard.page(session.command, config, runtime.environment()))
                keeper.first(state)
            held_out = None if config.train.d_gain is None else held_out_batch(data, config, runtime)
            train(state, batches, config, runtime, keeper.means.add, keeper, held_out)
            if resumed and resumed.step == state.step:
                keeper.conclude(state)
    finally:
        tracker.close()
    images = state.batches * config.train.batch_size
    began = resumed.step if resumed else 0
    return {
        "status": "finished",
        "stopped_by": config.train.budget,
        "step": state.step,
        "images": images,
        "training_seconds": round(state.seconds, 2),
        "images_per_second": round((images - images * began / state.step) / max(keeper.seconds, 1e-9), 1),
        "metrics": keeper.reading.metrics,
        "floors": keeper.reading.floors,
        "protocol": keeper.reading.protocol,
        "health": list(keeper.health.standing.values()),
        "tail": tail_means(tracker.history(), state.step),
        "published": config.metric.published,
        "meaning": config.objective.meaning,
        "chance": config.objective.chance,
    }


def _status(error: BaseException) -> str:
    kinds: dict[type[BaseException], str] = {
        Diverged: "diverged",
        Interrupted: "interrupted",
        KeyboardInterrupt: "interrupted",
        Pruned: "pruned",
    }
    return kinds.get(type(error), "failed")


def warn_of_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Warn, naming each, when what a bit-for-bit continuation depends on is not what it was."""
    changed = [f"{key} {before.get(key)} -> {now[key]}" for key in now if before.get(key) != now[key]]
    if changed:
        log.warning("not bit for bit the run it was: %s", ", ".join(changed))
