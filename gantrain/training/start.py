"""Start a single run from its command line: compose and check it, load its data, make its folder, train."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from gantrain.config.compose import check, compose_job, job_folder, run_in_job_folder
from gantrain.config.overrides import CommandLine
from gantrain.core.new_folder import ensure_empty
from gantrain.core.plugins import plugin_words
from gantrain.core.run_folder import RunFolder
from gantrain.distributed.join import current_group
from gantrain.errors import ConfigError
from gantrain.reports.end_table import end_table
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.restore import write_config
from gantrain.training.resume import resume_run
from gantrain.training.run import run
from gantrain.training.runtime import Runtime
from gantrain.training.session import Session
from gantrain.training.stop_signal import StopSignal
from gantrain.training.together import prepare_together

Launch = Callable[[list[str], int], NoReturn]


def start_run(
    line: CommandLine, draw: Callable[[Path], None] | None = None, launch: Launch | None = None
) -> Path | None:
    """Train a run, print how it ended, and return its folder; None for a dry run, which only prints an estimate.

    Args:
        line: What was typed.
        draw: Shows samples and metrics while the run goes on; see ``Session``.
        launch: Plays the run of a command line in several processes, and ends this one with their exit code.

    Raises:
        GantrainError: Before anything is written, if the config or the data are at fault.
    """
    group = current_group()
    if folder := group.earlier_folder:  # of an attempt in which a process died
        resume_run(folder, {})
        return folder
    with compose_job(line) as composed:
        # What can be wrong is checked before the run gets a folder.
        config = check(composed)
        ensure_empty(job_folder(composed))
        if config.train.init_from:
            load_checkpoint(config.train.init_from)
        if config.device.processes > group.size and not config.train.dry_run:  # as a YAML file says
            _launch(line, config.device.processes, launch)
        data = prepare_together(config, group)
        if config.train.dry_run:
            from gantrain.training.dry_run.report import report

            print(report(config, data, Runtime(config.device)), flush=True)
            return None

        def train_in(folder: Path, overrides: Mapping[str, str]) -> Path:
            command = shlex.join(["gantrain", *plugin_words(), *line.words])
            session = Session(command, overrides, draw=draw)
            print(end_table(run(config, folder, session=session, data=data, group=group), folder))
            return folder

        # The config comes first: from it the run can begin anew, whenever its process ends.
        folder = job_folder(composed).absolute()
        with RunFolder(folder).lock(), StopSignal(folder).listening():
            ensure_empty(folder)  # another process may have begun there since
            write_config(config, folder)
            group.begin_in(folder)
            return run_in_job_folder(composed, train_in)


def _launch(line: CommandLine, processes: int, launch: Launch | None) -> NoReturn:
    """Play a command line in several processes, and end this one. Raises ConfigError where that cannot be."""
    if launch is None:
        what = f"is {processes}, and Python plays a run in its own process"
        raise ConfigError("device.processes", what, f"in a terminal: gantrain {shlex.join(line.words)}")
    launch([*plugin_words(), *line.words], processes)
