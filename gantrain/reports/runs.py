"""The rows of a comparison: where the runs are, how each ended, and its numbers."""

import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gantrain.core.estimate import ERROR_SUFFIX
from gantrain.core.folder_tree import folders_under
from gantrain.core.override import values_by_key
from gantrain.core.run_folder import DONE, RunFolder, is_run
from gantrain.core.sweep_folder import Job, SweepFolder
from gantrain.core.text import escape_controls
from gantrain.reports.at_step import result_at, step_of
from gantrain.reports.readings import finite_numbers
from gantrain.reports.varying import short_label, varying_values

MAX_RUNS = 2000  # in a table or on a page


@dataclass(frozen=True)
class Row:
    """One run among others.

    Attributes:
        name: Its folder's name, or the last parts of its path where names are shared.
        varied: The keys in which the runs differ, with this run's values.
        status: ``finished``, ``failed``, ``diverged``, ``interrupted``, ``killed``, ``pruned``; ``unfinished``
            without a result, ``unreadable`` with a broken one, ``missing`` for a run that has not begun.
        numbers: Every metric by tag, as read after the last step.
        published: Published values by tag.
        exit_code: Of a run that did not finish, if known.
        config: The resolved config, or empty.
        result: All of ``result.json``, or empty.
        tail: Means over the last fifth of the run, of metrics and of tags with a published value.
        step: Of the checkpoint whose numbers these are; None for those of the run's end.
        metric: The tag by which it is compared with others, if that was laid down before it ran.
    """

    name: str
    varied: Mapping[str, str]
    status: str
    numbers: Mapping[str, float]
    published: Mapping[str, float]
    seconds: float
    exit_code: int | None = None
    error: str = ""
    folder: Path = Path()
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    result: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tail: Mapping[str, float] = field(default_factory=dict, repr=False)
    step: int | None = None
    metric: str = ""

    @cached_property
    def state(self) -> Mapping[str, float]:
        """The numbers that stand for the run: a game that circles has no last value, so means where there are any."""
        return {**self.numbers, **self.tail}

    @property
    def counts(self) -> bool:
        """Whether its numbers belong in a mean."""
        return self.status == "finished"

    @property
    def label(self) -> str:
        """The values of the keys that vary, in short, or else its name."""
        return short_label(self.varied) or self.name

    @property
    def ending(self) -> str:
        """How it ended, with its exit code; of a checkpoint its step."""
        if self.step is not None:
            return f"step {self.step:,}"
        has_code = self.exit_code is not None and self.status not in (*DONE, "missing")
        return f"{self.status} ({self.exit_code})" if has_code else self.status


def read_rows(folders: Iterable[Path]) -> list[Row]:
    """Return a row for each run's folder, or for a checkpoint in one; the status of a broken one says so.

    Raises:
        CheckpointError: For a checkpoint of a step that was not evaluated.
    """
    paths = [Path(folder) for folder in folders]
    steps = [step_of(path) for path in paths]
    # One broken run must not hide the others.
    homes = [
        path if step is None else RunFolder.of(path).path for path, step in zip(paths, steps, strict=True)
    ]
    runs = [RunFolder(home, strict=False) for home in homes]
    parents = {run.path.parent for run in runs}
    jobs = {parent: _jobs_of(parent) for parent in parents}
    words = {parent: {name: job.overrides for name, job in own.items()} for parent, own in jobs.items()}
    overrides = [overrides_of(run.path, words[run.path.parent]) for run in runs]
    varied = varying_values(overrides, [run.config for run in runs], same_sweep=len(parents) == 1)
    of_study = [jobs[run.path.parent].get(run.path.name, Job("")).setting for run in runs]
    if all(of_study):
        varied = _with_settings(varied, of_study)
    metrics = {parent: escape_controls(SweepFolder(parent).metric()) for parent in parents}
    names = _names(
        [
            run.path if step is None else run.path.with_name(f"{run.path.name}@{step}")
            for run, step in zip(runs, steps, strict=True)
        ]
    )
    rows = [_row(*parts) for parts in zip(names, varied, runs, steps, strict=True)]
    return [
        replace(row, metric=metrics[run.path.parent]) if metrics[run.path.parent] else row
        for row, run in zip(rows, runs, strict=True)
    ]


def _with_settings(varied: Sequence[Mapping[str, str]], names: Sequence[str]) -> list[dict[str, str]]:
    """Return the values that vary with the setting's name in place of the keys that it decides."""
    keys = dict.fromkeys(key for one in varied for key in one)
    for key in [*keys]:
        values: dict[str, set[str]] = {}
        for name, one in zip(names, varied, strict=True):
            values.setdefault(name, set()).add(one.get(key, ""))
        if all(len(own) == 1 for own in values.values()):
            del keys[key]
    return [
        {"setting": name, **{key: one[key] for key in keys if key in one}}
        for name, one in zip(names, varied, strict=True)
    ]


def _row(name: str, varied: Mapping[str, str], run: RunFolder, step: int | None) -> Row:
    ending, reason = _end_without_result(run)
    result = run.result or {"status": ending, "error": reason}
    if step is not None:
        result = result_at(run, step)
    published = finite_numbers(result.get("published"))
    numbers = finite_numbers(result.get("metrics"))
    tail = {tag: v for tag, v in finite_numbers(result.get("tail")).items() if not tag.endswith(ERROR_SUFFIX)}
    code, seconds = result.get("exit_code"), result.get("seconds")
    return Row(
        name=escape_controls(name),
        varied={key: escape_controls(value) for key, value in varied.items()},
        status=escape_controls(str(result.get("status", "unreadable"))),
        numbers=numbers,
        published=published,
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        exit_code=code if isinstance(code, int) else None,
        error=escape_controls(str(result.get("error") or "")),
        folder=run.path,
        config=run.config,
        result=result,
        tail={tag: value for tag, value in tail.items() if tag in numbers or tag in published},
        step=step,
    )


def _end_without_result(run: RunFolder) -> tuple[str, str]:
    """Return the status of a run that left no result, and the reason."""
    if run.result_file.is_file():
        return "unreadable", "its result.json cannot be read"
    if run.config:
        return "unfinished", "it is running" if run.is_locked else "its process ended without a result"
    stopped = [signal.Signals(number).name for number in SweepFolder(run.path.parent).signals()]
    return (
        "missing",
        f"its sweep was stopped by {stopped[0]} before its turn" if stopped else "it has not begun",
    )


def overrides_of(run: Path, jobs: Mapping[str, Sequence[str]] | None = None) -> dict[str, str]:
    """Return the values typed for a run by key: its own overrides, or else those of its job among ``jobs``."""
    jobs = _overrides_of_jobs(run.parent) if jobs is None else jobs
    return values_by_key(RunFolder(run).overrides or jobs.get(run.name, ()))


def _overrides_of_jobs(sweep: Path) -> dict[str, tuple[str, ...]]:
    return {name: job.overrides for name, job in _jobs_of(sweep).items()}


def _jobs_of(sweep: Path) -> dict[str, Job]:
    return {Path(job.folder).name: job for job in SweepFolder(sweep).jobs(strict=False)}


def runs_under(folder: Path) -> list[Path]:
    """Return the runs in and under a folder in the order of their numbers and names; also for a checkpoint in a run."""
    inside = RunFolder.of(folder).path
    return [inside] if is_run(inside) else list(dict.fromkeys(_walk(inside)))


def first_runs(runs: Sequence[Path], most: int = MAX_RUNS) -> list[Path]:
    """Return at most ``most`` of these runs, in their order: before those that never began, those that did."""
    if len(runs) <= most:
        return list(runs)
    kept = set(sorted(runs, key=lambda run: not run.is_dir())[:most])  # a stable sort
    return [run for run in runs if run in kept]


def _walk(folder: Path) -> Iterator[Path]:
    for place in folders_under(folder, lambda place: place.name.startswith(".") or is_run(place)):
        if place != folder and is_run(place):
            yield place
        elif place == folder or not place.name.startswith("."):
            yield from (place / name for name in _overrides_of_jobs(place))


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the paths that differ."""
    for depth in range(1, 1 + max((len(path.parts) for path in paths), default=0)):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
