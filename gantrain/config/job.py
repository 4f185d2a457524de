"""A single run as a job of Hydra: composed, then run in a folder that has ``.hydra/`` in it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import hydra
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from gantrain.config.compose import HYDRA_1_3, TRUSTED, initialize_hydra, load_plugins, translate_hydra_errors
from gantrain.config.overrides import CommandLine
from gantrain.core.override import values_by_key
from gantrain.errors import OutputError

T = TypeVar("T")


@contextlib.contextmanager
def compose_job(line: CommandLine) -> Iterator[DictConfig]:
    """Give the composed config of a single run, with the node ``hydra``, and restore Hydra's state afterwards.

    Raises:
        ConfigError: For a config that cannot be composed.
    """
    load_plugins()
    before = HydraConfig.instance().cfg
    with initialize_hydra(line.config_path, line.config_dir) as app:
        try:
            with translate_hydra_errors():
                # What hydra.compose does, and Hydra's own log as hydra.verbose and hydra.hydra_logging set it.
                overrides = [*line.overrides, "hydra.mode=RUN"]
                composed = app.compose_config(
                    line.config_name, overrides, run_mode=RunMode.RUN, with_log_configuration=True
                )
                HydraConfig.instance().set_config(composed)  # for ${hydra:...} in keys of the run
            yield composed
        finally:
            HydraConfig.instance().cfg = before


def job_folder(composed: DictConfig) -> Path:
    """Return the folder that the run of ``compose_job`` will have."""
    with translate_hydra_errors():
        return Path(composed.hydra.run.dir)


def run_in_job_folder(composed: DictConfig, task: Callable[[Path, dict[str, str]], T]) -> T:
    """Make a run's folder and call a task as Hydra calls a job: in its environment, log and working directory.

    Args:
        composed: What ``compose_job`` gave.
        task: Called with the folder and the values of the overrides by key, ``hydra.*`` left out.

    Returns:
        What the task returns; what it raises is raised.
    """
    utils: Any = hydra.utils  # from version 1.4 on Hydra instantiates only what the program trusts
    whitelist = contextlib.nullcontext() if HYDRA_1_3 else utils.execution_whitelist(TRUSTED)
    context = {} if HYDRA_1_3 else {"execution_whitelist": TRUSTED}
    with whitelist, translate_hydra_errors(), _folder_errors(composed):
        callbacks = Callbacks(composed)
        callbacks.on_run_start(config=composed, config_name=composed.hydra.job.config_name)
        given = values_by_key(composed.hydra.overrides.task)
        job = run_job(
            lambda _: task(Path(HydraConfig.get().runtime.output_dir), given),
            composed,
            job_dir_key="hydra.run.dir",
            job_subdir_key=None,
            hydra_context=HydraContext(GlobalHydra.instance().config_loader(), callbacks, **context),
        )
        callbacks.on_run_end(config=composed, config_name=composed.hydra.job.config_name, job_return=job)
    with contextlib.redirect_stderr(io.StringIO()):  # where Hydra prints the overrides of a failed job
        return job.return_value


@contextlib.contextmanager
def _folder_errors(composed: DictConfig) -> Iterator[None]:
    """Raise that Hydra cannot write the run's folder; what the task raises does not pass here."""
    try:
        yield
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise OutputError(
            job_folder(composed), what, "set run.root or run.dir to a folder of yours"
        ) from error
