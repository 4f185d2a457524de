"""The command without a verb: a run, a sweep, or what Hydra's own flags print."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gantrain.config.compose import HYDRA_1_3, TRUSTED, VERSION_BASE, load_plugins, translate_hydra_errors
from gantrain.config.overrides import CommandLine
from gantrain.core.groups import yaml_dir
from gantrain.core.override import values_by_key
from gantrain.core.plugins import active_folders, use
from gantrain.errors import ConfigError


def start(argv: list[str]) -> int:
    """Train what a command line describes, once or as a sweep, or print what its Hydra flag asks for.

    Args:
        argv: Overrides and Hydra's flags.

    Returns:
        0; an error is raised.

    Raises:
        GantrainError: For every error of the user's, and when a job of a sweep failed.
    """
    line = CommandLine.parse(argv)
    if line.mode == "run":
        from gantrain.training.start import start_run

        start_run(line)
    else:
        run_hydra_main(line)
    return 0


def run_hydra_main(line: CommandLine) -> None:
    """Give a sweep or a query to ``hydra.main``."""
    load_plugins()
    plugins = active_folders()

    def run_job(composed: DictConfig) -> dict[str, Any]:
        use(plugins)  # in a process of the launcher too, to which it is pickled
        return run_sweep_job(composed)

    options: dict[str, Any] = VERSION_BASE if HYDRA_1_3 else {"execution_whitelist": TRUSTED}
    main = hydra.main(config_path=str(yaml_dir()), config_name="config", **options)(run_job)
    with (
        translate_hydra_errors(),
        _hydra_process([*line.flags, *line.overrides]),
        _package_error(line.package),
    ):
        main()


def run_sweep_job(composed: DictConfig) -> dict[str, Any]:
    """Run one job of a sweep and return its result; nothing that goes wrong in it stops the others."""
    from gantrain.config.resolve import plain_data
    from gantrain.sweeps.process import run_job

    job = HydraConfig.get()
    submitted = "submitit" in job.launcher._target_
    return run_job(
        plain_data(composed), Path(job.runtime.output_dir), values_by_key(job.overrides.task), submitted
    )


@contextlib.contextmanager
def _package_error(package: str | None) -> Iterator[None]:
    """Raise that ``--package`` names nothing, for which Hydra prints a line and exits."""
    message = io.StringIO()
    try:
        with contextlib.redirect_stderr(message) if package else contextlib.nullcontext():
            yield
    except SystemExit as error:
        if "not found in config" in message.getvalue():
            remedy = "see the keys with: gantrain --cfg job"
            raise ConfigError(str(package), "there is no such key", remedy) from error
        raise


@contextlib.contextmanager
def _hydra_process(argv: list[str]) -> Iterator[None]:
    """Let ``hydra.main`` read a command line, which it takes from ``sys.argv``, and raise its errors."""
    argv_before, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = ["gantrain", *argv], "1"
    try:
        yield
    finally:
        sys.argv = argv_before
        os.environ.pop("HYDRA_FULL_ERROR", None)
        if full_error is not None:
            os.environ["HYDRA_FULL_ERROR"] = full_error
