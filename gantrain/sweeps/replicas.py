"""Which jobs of a sweep are played at once by one process, and which have one of their own."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gantrain.config.grammar import read_value
from gantrain.config.key_types import type_of_key
from gantrain.config.options import Config
from gantrain.config.resolve import resolve
from gantrain.core.override import values_by_key
from gantrain.core.sweep_folder import Job, SweepFolder
from gantrain.core.text import count
from gantrain.errors import ConfigError, GantrainError
from gantrain.training.replicas.limits import MAX_RUNS, MIN_RUNS, NUMBERS, pays, shape_of, why_not_together

Group = tuple[Job, ...]  # jobs of one process


def with_numbers(plain: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Return the config of a run, plain data, with the numbers in which runs that are played at once may differ.

    Args:
        plain: Of another run.
        words: Values by key, as typed; other keys are left out.
    """
    changed = copy.deepcopy(dict(plain))
    for key in NUMBERS:
        if key in words:
            group, _, name = key.rpartition(".")
            (changed[group] if group else changed)[name] = read_value(key, words[key], type_of_key(key))
    return changed


def plan_groups(
    sweep: SweepFolder,
    jobs: Sequence[Job],
    configs: Sequence[Config | None],
    compose: Callable[[Job], Mapping[str, Any]],
    at_once: int,
    is_always: bool,
) -> tuple[list[Group], list[str]]:
    """Return the jobs of each process, and a line for each reason that keeps jobs apart.

    Args:
        sweep: Their sweep; jobs that go on from a checkpoint are played with those at the same step.
        jobs: The jobs to run.
        configs: The resolved config of each; None where its data are absent so far.
        compose: Returns the config of a job as plain data, before it is resolved.
        at_once: How many processes run at once: each gets its part.
        is_always: Whether jobs are played at once also where that is no faster.

    Raises:
        ConfigError: With ``is_always``, for a job that cannot be played with others.
    """
    alike: dict[object, list[tuple[Job, Config | None]]] = defaultdict(list)
    for job, config in zip(jobs, configs, strict=True):
        newest = sweep.run(job).newest_checkpoint
        form = None if config is None else (shape_of(config), newest.name if newest else "")
        alike[form or job.folder].append((job, config))
    groups: list[Group] = []
    apart: dict[str, int] = defaultdict(int)
    for pairs in alike.values():
        reason = _why_apart(pairs, is_always)
        if reason:
            apart[reason] += len(pairs)
            groups += [(job,) for job, _ in pairs]
            continue
        same, others = _same_but_for_numbers(pairs, compose)
        apart["a key of theirs is computed from one that differs"] += len(others)
        groups += [*split(same, at_once), *((job,) for job in others)]
    order = {job.folder: place for place, job in enumerate(jobs)}
    lines = [f"{count(number, 'job')} run one by one: {reason}" for reason, number in apart.items() if number]
    return sorted(groups, key=lambda group: order[group[0].folder]), lines


def _why_apart(pairs: Sequence[tuple[Job, Config | None]], is_always: bool) -> str:
    """Return why jobs of one shape are not played at once; empty if they are. Raises ConfigError if they have to be."""
    config = pairs[0][1]
    if config is None:
        return "their data are not there"
    reason = why_not_together(config)
    if is_always:
        if reason:
            raise ConfigError("train.replicas", reason, "sweep over seeds instead, as in -m 'seed=range(8)'")
        return ""
    return reason or ("" if pays(config, len(pairs)) else "of this size and number that is faster")


def _same_but_for_numbers(
    pairs: Sequence[tuple[Job, Config | None]], compose: Callable[[Job], Mapping[str, Any]]
) -> tuple[list[Job], list[Job]]:
    """Return the jobs whose config is that of the first but for the numbers on their lines, and the others."""
    plain = compose(pairs[0][0])
    same, others = [pairs[0][0]], list[Job]()
    for job, config in pairs[1:]:
        try:
            found = resolve(with_numbers(plain, values_by_key(job.overrides)))
        except GantrainError:
            found = None
        if found and plain["seed"] is None and config:
            found.seed = config.seed  # drawn anew each time
        is_same = found is not None and config is not None and _plain(found) == _plain(config)
        (same if is_same else others).append(job)
    return same, others


def _plain(config: Config) -> dict[str, Any]:
    """Return a resolved config without its name and place."""
    plain = config.plain()
    del plain["name"], plain["run"]
    return plain


def split(jobs: Sequence[Job], at_once: int) -> list[Group]:
    """Return jobs in equal parts: one for each process that runs at once, of 4 to 64 jobs."""
    parts = max(-(-len(jobs) // MAX_RUNS), min(at_once, len(jobs) // MIN_RUNS), 1)
    bounds = [len(jobs) * part // parts for part in range(parts + 1)]
    return [tuple(jobs[start:stop]) for start, stop in zip(bounds, bounds[1:], strict=False)]
