"""The command without a verb: a run, a sweep, or what Hydra's own flags print."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gantrain.config.compose import HYDRA_1_3, TRUSTED, VERSION_BASE, compose_job, translate_hydra_errors
from gantrain.config.overrides import CommandLine
from gantrain.core.groups import choices, yaml_dir
from gantrain.core.override import values_by_key
from gantrain.core.plugins import active_folders, use
from gantrain.core.suggestions import suggest
from gantrain.distributed.join import current_group
from gantrain.distributed.launch import launch
from gantrain.errors import ConfigError


def start(argv: list[str]) -> int:
    """Train what overrides describe, once or as a sweep, or print what a flag of Hydra's requests; return 0.

    Raises:
        GantrainError: For a user error, and when a job of a sweep failed.
    """
    size = current_group().size
    line = CommandLine.parse(_with_processes(argv, size))
    if line.mode == "run":  # composed and run without hydra.main
        from gantrain.training.start import start_run

        start_run(line, launch=launch_and_exit)
        return 0
    if line.mode == "sweep" and size > 1:
        remedy = "start the sweep once: each of its jobs starts its own processes, with device.processes=N"
        raise ConfigError("-m", f"is a sweep, and {size} processes were started to play one run", remedy)
    run_hydra_main(line)
    return 0


def launch_and_exit(words: list[str], count: int) -> NoReturn:
    """Play a run in several processes, and end this one with their exit code."""
    raise SystemExit(launch(words, count))


def _with_processes(argv: list[str], size: int) -> list[str]:
    """Return a command line with the number of processes that a launcher started. Raises ConfigError for another."""
    typed = values_by_key(argv).get("device.processes")
    if size == 1:
        return argv
    if typed not in (None, str(size)):
        raise ConfigError(
            "device.processes", f"is {typed}, and {size} processes were started", "leave it out"
        )
    return argv if typed else [*argv, f"device.processes={size}"]


def run_hydra_main(line: CommandLine) -> None:
    """Give a sweep or a query to ``hydra.main``. Raises ConfigError for a sweeper that cannot run gantrain's jobs."""
    name = values_by_key(line.overrides).get("hydra/sweeper")
    own = {path.stem for path in Path(line.config_dir or "/dev/null").glob("hydra/sweeper/*.yaml")}
    known = {*choices("hydra/sweeper"), *own}
    if name is not None and name not in known:
        raise ConfigError("hydra/sweeper", f"{name} does not know gantrain's jobs", suggest(name, known))
    plugins = active_folders()

    def run_job(composed: DictConfig) -> dict[str, Any]:
        use(plugins)  # in a process of the launcher too, to which it is pickled
        return run_sweep_job(composed)

    options: dict[str, Any] = VERSION_BASE if HYDRA_1_3 else {"execution_whitelist": TRUSTED}
    main = hydra.main(config_path=str(yaml_dir()), config_name="config", **options)(run_job)
    argv = [*line.flags, *line.overrides]  # without gantrain's own flags, which Hydra does not know
    with translate_hydra_errors(), _hydra_process(argv), _package_error(line):
        main()


def run_sweep_job(composed: DictConfig) -> dict[str, Any]:
    """Run one job of a sweep and return its result; an error in it does not stop the others."""
    from gantrain.config.resolve import plain_data
    from gantrain.sweeps.process import run_job

    job = HydraConfig.get()
    folder, given = Path(job.runtime.output_dir), values_by_key(job.overrides.task)
    return run_job(plain_data(composed), folder, given, job.launcher._target_, job.runtime.cwd)


@contextlib.contextmanager
def _package_error(line: CommandLine) -> Iterator[None]:
    """Raise ConfigError when ``--package`` names no key, for which Hydra prints a line and exits; print a null one."""
    message = io.StringIO()
    try:
        with contextlib.redirect_stderr(message) if line.package else contextlib.nullcontext():
            yield
    except SystemExit as error:
        # Hydra's message is the only sign of this error.
        if "not found in config" not in message.getvalue():
            raise
        group, _, key = str(line.package).rpartition(".")
        with compose_job(line) as composed:
            parent = OmegaConf.select(composed, group) if group else composed
        if not (isinstance(parent, DictConfig) and key in parent):
            remedy = "see the keys with: gantrain --cfg job"
            raise ConfigError(str(line.package), "there is no such key", remedy) from error
        print("null")


@contextlib.contextmanager
def _hydra_process(argv: list[str]) -> Iterator[None]:
    """Let ``hydra.main`` read a command line, which it takes from ``sys.argv``, and raise its errors."""
    argv_before, full_error, config = sys.argv, os.environ.get("HYDRA_FULL_ERROR"), HydraConfig.instance().cfg
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = ["gantrain", *argv], "1"
    try:
        yield
    finally:
        sys.argv, HydraConfig.instance().cfg = argv_before, config
        os.environ.pop("HYDRA_FULL_ERROR", None)
        if full_error is not None:
            os.environ["HYDRA_FULL_ERROR"] = full_error
