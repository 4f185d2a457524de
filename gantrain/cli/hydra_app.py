"""Hydra behind the door: compose, check before anything is written, run, and say every fault in one line."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gantrain.config.overrides import read
from gantrain.core.files import ensure_empty
from gantrain.core.groups import yaml_dir
from gantrain.core.hydra_errors import translated
from gantrain.core.override import values_by_key
from gantrain.core.plugins import in_use, plugin_words, use
from gantrain.errors import ConfigError, GantrainError

if TYPE_CHECKING:
    pass
from gantrain.config.compose import _LINE, check, load_plugins

_ready: list[Any] = []  # config and data of a single run, from Preflight to the task in the same process


class Preflight(Callback):
    """Checks a run before Hydra makes its folder; only SystemExit gets through its callbacks, and carries the fault."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Resolve the run, see that its folder is free, and load its data."""
        from gantrain.training.checkpoint import load_checkpoint
        from gantrain.training.run import prepare

        with _leaving():
            checked = check(config)
            ensure_empty(Path(config.hydra.run.dir))
            if checked.train.init_from:
                load_checkpoint(checked.train.init_from)
            data = prepare(checked)
            if checked.train.dry_run:
                from gantrain.training.device import Runtime
                from gantrain.training.dry_run.report import report

                print(report(checked, data, Runtime(checked.device)), flush=True)
                raise SystemExit(0)
            _ready[:] = [(checked, data)]


@contextlib.contextmanager
def _leaving() -> Iterator[None]:
    try:
        yield
    except OmegaConfBaseException as error:
        raise SystemExit(translated(error)) from error
    except Exception as error:
        raise SystemExit(error) from error


def train(argv: list[str]) -> int:
    """Compose what the command line says and train it, once or as a sweep.

    Args:
        argv: Overrides and Hydra's flags.

    Returns:
        0, or 1 when a job of a sweep failed.

    Raises:
        GantrainError: For every fault of the user's.
    """
    trained(argv)
    return 0


def trained(argv: list[str]) -> Path | None:
    """Train as ``train`` does, and return the folder of a single run; None for a sweep, or where nothing ran."""
    load_plugins()
    command = shlex.join(["gantrain", *plugin_words(), *argv])
    words = read(argv)
    _ready.clear()
    folders: list[Path] = []

    def one_run(composed: DictConfig) -> None:
        from gantrain.reports.text import end_table
        from gantrain.training.run import run
        from gantrain.training.session import Session

        running = HydraConfig.get()
        folder = Path(running.runtime.output_dir)
        folders.append(folder)
        config, data = _ready.pop()
        try:
            result = run(config, folder, session=Session(command, given(running)), data=data)
        except GantrainError as error:
            raise SystemExit(error) from error
        print(end_table(result, folder))

    plugins = in_use()

    def job_of_sweep(composed: DictConfig) -> dict[str, Any]:
        use(plugins)  # in a process of the launcher too, to which it is pickled
        return one_job(composed)

    with _as_hydra_has_it([*words.flags, *words.overrides]), _absent(words.package):
        try:
            task = job_of_sweep if words.is_sweep else one_run
            hydra.main(config_path=str(yaml_dir()), config_name="config", **_LINE)(task)()
        except (
            HydraException,
            OmegaConfBaseException,
            yaml.YAMLError,
            UnicodeDecodeError,
            RecursionError,
        ) as error:
            raise translated(error) from error
    return folders[0] if folders else None


def given(running: Any) -> dict[str, str]:
    """Return the keys that were set by hand for a job, with their values as typed."""
    return values_by_key(running.overrides.task)


def one_job(composed: DictConfig) -> dict[str, Any]:
    """Play one job of a sweep and return its result; nothing that goes wrong in it stops the others."""
    from gantrain.config.resolve import plain_data
    from gantrain.sweeps.process import run_job

    running = HydraConfig.get()
    submitted = "submitit" in running.launcher._target_
    folder = Path(running.runtime.output_dir)
    return run_job(plain_data(composed), folder, given(running), submitted)


@contextlib.contextmanager
def _absent(package: str | None) -> Iterator[None]:
    """Say that ``--package`` names nothing as every other fault is said; Hydra prints a line and leaves."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint) if package else contextlib.nullcontext():
            yield
    except SystemExit as error:
        if "not found in config" in complaint.getvalue():
            raise ConfigError(
                str(package), "there is no such key", "see the keys with: gantrain --cfg job"
            ) from error
        raise


@contextlib.contextmanager
def _as_hydra_has_it(argv: list[str]) -> Iterator[None]:
    """Give Hydra its command line, and have it raise what it would print: this door prints one line."""
    before, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = ["gantrain", *argv], "1"
    try:
        yield
    finally:
        sys.argv = before
        os.environ.pop("HYDRA_FULL_ERROR", None)
        if full is not None:
            os.environ["HYDRA_FULL_ERROR"] = full
