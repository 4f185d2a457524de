"""The jobs of a study, its file in their folder, and what they would cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gantrain.config.options import Config
from gantrain.core.atomic import replace_file
from gantrain.core.sweep_folder import STUDY, Job, Plan, SweepFolder
from gantrain.core.text import count, format_duration
from gantrain.errors import ConfigError
from gantrain.sweeps.plan import job_name
from gantrain.sweeps.study.definition import Study, read_study, study_file

SECONDS = 2.0  # of timed steps for each setting of a dry run


def open_study(name: str, sweep: SweepFolder) -> Study:
    """Return the study of a name or path, which a folder that holds one already laid down.

    Raises:
        ConfigError: For a folder with another study, and for a study that does not exist.
    """
    copy = sweep.path / STUDY
    laid_down = read_study(copy, name) if copy.is_file() else None
    try:
        file = study_file(name)
    except ConfigError:
        if laid_down is None:
            raise
        return laid_down  # it goes on without the file that it was read from
    study = read_study(file)
    if laid_down is not None and replace(laid_down, name="", text="") != replace(study, name="", text=""):
        what = "was laid down differently from the study's file as it is now"
        raise ConfigError(copy, what, "choose another run.dir, or give this file as the study")
    return study


def write_study(study: Study, sweep: SweepFolder) -> None:
    """Write a study's file into its folder before the first run. Raises OSError."""
    if not (sweep.path / STUDY).is_file():
        replace_file(sweep.path / STUDY, study.text.encode())


def plan_study(study: Study, typed: tuple[str, ...]) -> tuple[Job, ...]:
    """Return one job for each run of a study, named by its setting, what the search drew, and its seed."""
    from gantrain.config.grammar import read_word

    trials = list(study.trials(tuple(typed)))
    width = len(str(len(trials) - 1))
    jobs = []
    for number, trial in enumerate(trials):
        shown = [f"setting={trial.setting}", *trial.drawn, f"seed={trial.seed}"]
        name = job_name(number, width, shown, [word.partition("=")[0] for word in shown])
        words = tuple(read_word(word).text for word in trial.words)
        jobs.append(Job(name, words, trial.setting))
    return tuple(jobs)


def forecast(study: Study, plan: Plan, configs: Sequence[Config | None], at_once: int) -> str:
    """Return how many runs each setting has and how long they take one by one: one run of each is timed."""
    from gantrain.training.dry_run.estimate import estimate
    from gantrain.training.run import prepare
    from gantrain.training.runtime import Runtime

    first: dict[str, Config] = {}
    for job, config in zip(plan.jobs, configs, strict=True):
        if config is not None:
            first.setdefault(job.setting, config)
    lines, total = [], 0.0
    for setting in study.settings:
        runs = sum(job.setting == setting for job in plan.jobs)
        if setting not in first:
            lines.append(f"{setting}: {count(runs, 'run')}, its data are not there")
            continue
        config = first[setting]
        data, runtime = prepare(config), Runtime(config.device)
        with runtime.settings():
            cost = estimate(config, data, runtime, SECONDS)
        total += runs * cost.seconds
        lines.append(
            f"{setting}: {count(runs, 'run')} of {format_duration(cost.seconds)}, {cost.steps:,} steps, "
            f"{cost.images:,} images"
        )
    lines.append(
        f"{count(len(plan.jobs), 'run')}, {format_duration(total)} one by one, "
        f"{format_duration(total / at_once)} with {at_once} at once; less where runs are played together"
    )
    return "\n".join([*lines, "nothing was started: train.dry_run=true"])
