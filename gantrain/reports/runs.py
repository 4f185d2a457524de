"""Runs side by side: where they are, how each ended, and what varies among them."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gantrain.core.override import values_by_key
from gantrain.core.run_folder import DONE, RunFolder, is_run
from gantrain.core.sweep_folder import SweepFolder
from gantrain.core.text import escape_controls

# What a run is not about: which sweep it is of, where it writes and how often, on which machine, what is read of it.
ASIDE = re.compile(
    r"(name|sweep|(run|hydra|metric|device)\b.*|dataset\.root|train\.\w+_every|train\.keep_checkpoints|optimizer\.horizon)$"
)
ORDER = ("objective", "penalty", "model", "dataset", "noise", "augment", "optimizer", "train")
KEYS = 6  # differing keys that are worth a column, beside those set by hand


@dataclass(frozen=True)
class Row:
    """One run among others.

    Attributes:
        name: Its folder's name, or the last parts of its path where names are shared.
        varied: The keys in which the runs differ, with this run's values.
        status: ``finished``, ``failed``, ``diverged``, ``interrupted``, ``killed``, ``pruned``; ``unfinished``
            without a result, ``unreadable`` with a broken one, ``missing`` where no run has begun.
        numbers: Every metric by tag, and where there are published numbers the means of the last fifth of the run.
        published: Numbers in print by tag.
        seconds: What it took.
        exit_code: That of a run which did not finish, when it is known.
        error: What ended it.
        folder: Where it is, if anywhere.
        config: The resolved config; empty where there is none.
        result: All of ``result.json``; empty where there is none.
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

    @property
    def counts(self) -> bool:
        """Whether its numbers belong in a mean."""
        return self.status == "finished"

    @property
    def label(self) -> str:
        """What sets it apart in short: the values of what varies, or else its name."""
        return in_short(self.varied) or self.name

    @property
    def ended(self) -> str:
        """How it ended, with its own exit code."""
        shown = self.exit_code is not None and self.status not in (*DONE, "missing")
        return f"{self.status} ({self.exit_code})" if shown else self.status


def rows(folders: Iterable[Path]) -> list[Row]:
    """Return a row for each run's folder; one that is absent, empty or broken has a row that says so."""
    paths = [Path(folder) for folder in folders]
    jobs = {parent: jobs_of(parent) for parent in {path.parent for path in paths}}
    given = [given_words(path, jobs[path.parent]) for path in paths]
    runs = [RunFolder(path, strict=False) for path in paths]
    configs, results = [run.config for run in runs], []
    for run in runs:
        begun = "unfinished" if run.config else "missing"
        ended = "unreadable" if run.result_file.is_file() else begun
        results.append(run.result or {"status": ended})
    beside = len({path.parent for path in paths}) == 1
    told = zip(_names(paths), varied(given, configs, beside), paths, configs, results, strict=True)
    return [_row(*one) for one in told]


def _row(
    name: str, setting: dict[str, str], path: Path, config: dict[str, Any], result: dict[str, Any]
) -> Row:
    published = numbers_in(result.get("published"))
    tail = {tag: value for tag, value in numbers_in(result.get("tail")).items() if tag in published}
    code, seconds = result.get("exit_code"), result.get("seconds")
    return Row(
        name=escape_controls(name),
        varied={key: escape_controls(value) for key, value in setting.items()},
        status=escape_controls(str(result.get("status", "unreadable"))),
        numbers=numbers_in(result.get("metrics")) | tail,
        published=published,
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        exit_code=code if isinstance(code, int) else None,
        error=escape_controls(str(result.get("error") or "")),
        folder=path,
        config=config,
        result=result,
    )


def numbers_in(found: Any) -> dict[str, float]:
    """Return the finite numbers of a mapping by tag."""
    if not isinstance(found, Mapping):
        return {}
    real = {tag: v for tag, v in found.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    return {str(tag): float(value) for tag, value in real.items() if math.isfinite(value)}


def jobs_of(sweep: Path) -> dict[str, list[str]]:
    """Return the overrides of every job of a sweep by folder, those that never started among them."""
    return {Path(job.folder).name: list(job.overrides) for job in SweepFolder(sweep).jobs(strict=False)}


def given_words(run: Path, jobs: Mapping[str, list[str]] | None = None) -> dict[str, str]:
    """Return what was set by hand for a run, by key, from its folder or else its sweep's ``jobs``, as ``jobs_of``."""
    words = RunFolder(run).overrides or (jobs_of(run.parent) if jobs is None else jobs).get(run.name, [])
    return values_by_key(words)


def runs_in(folder: Path) -> list[Path]:
    """Return the runs in and under a folder in the order of their numbers and names; also for a checkpoint in a run."""
    inside = RunFolder.of(folder).path
    return [inside] if is_run(inside) else list(dict.fromkeys(_under(inside)))


def _under(folder: Path) -> Iterator[Path]:
    jobs = [folder / name for name in jobs_of(folder)]
    yield from jobs
    try:
        inner = [Path(entry) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for path in sorted(inner, key=lambda path: [int(p) if p.isdigit() else p for p in _parts(path.name)]):
        if is_run(path):
            yield path
        elif not path.name.startswith(".") and path not in jobs:
            yield from _under(path)


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name)


def _names(paths: Sequence[Path]) -> list[str]:
    for depth in range(1, 1 + max((len(path.parts) for path in paths), default=0)):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def flat(config: Mapping[str, Any], text: Callable[[Any], str] | None = None) -> dict[str, str]:
    """Return a config as dotted keys and values as text; the name of a group's option stands under the group."""
    text = text or shown
    found = {}
    for key, value in config.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        for name, item in inner:
            found[f"{key}.{name}" if name not in ("", "name") else key] = text(item)
    return found


def shown(value: Any) -> str:
    """Return a value as one text, however it was typed: 1e-4 and 0.0001 are the same, a path is its last part."""
    number = finite(value)
    if number is not None:
        if isinstance(value, int):
            return str(value)
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(value, str):
        return value.rstrip("/").rpartition("/")[2]
    return json.dumps(value)


def finite(value: Any) -> float | None:
    """Return a number, or a text that means one, as a finite float; None for anything else."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def in_short(setting: Mapping[str, str]) -> str:
    """Return values in one line: the option of a group alone, any other after the last word of its key."""
    words = {key: "" if "." not in key and key != "seed" else f"{key.rpartition('.')[2]} " for key in setting}
    return ", ".join(words[key] + value for key, value in setting.items())


def varied(
    given: Sequence[Mapping[str, str]], configs: Sequence[Mapping[str, Any]], beside: bool = True
) -> list[dict[str, str]]:
    """Return for each run the keys in which runs differ: those set by hand, and what these do not explain.

    Args:
        given: Words set by hand, by key.
        configs: Resolved configs, which say what the word of another run is here.
        beside: Whether the runs are of one sweep, where every word that varies was meant to; elsewhere machines and
            folders are no settings.
    """
    flats = [flat(config) for config in configs]
    known = [i for i in range(len(flats)) if flats[i] or given[i]]

    def value(i: int, key: str) -> str:
        word = shown(given[i][key]) if key in given[i] else ""
        resolved = flats[i].get(key, "")
        # The name of an option says more than its class, which several share; any other word is best resolved.
        option = "." not in key and key != "seed" and word not in ("", "auto")
        return word if option else resolved or word

    def differ(key: str) -> bool:
        # A run that left no config says only what was typed for it.
        return len({value(i, key) for i in known if flats[i] or key in given[i]}) > 1

    words = dict.fromkeys(key for one in given for key in one)
    by_hand = [key for key in words if not key.startswith(("run.", "hydra")) and differ(key)]
    chosen = [key for key in by_hand if beside or not ASIDE.match(key)]

    def is_explained(key: str) -> bool:
        # Runs that agree in what is chosen, whatever their seeds, agree in this key too.
        values: dict[tuple[str, ...], set[str]] = {}
        for i in known:
            if flats[i]:
                setting = tuple(value(i, other) for other in chosen if other != "seed")
                values.setdefault(setting, set()).add(value(i, key))
        return all(len(found) == 1 for found in values.values())

    most = len(chosen) + KEYS
    rest = {key for one in flats for key in one if not ASIDE.match(key)} - set(chosen) - {"seed"}
    for key in sorted(rest, key=_place):
        if len(chosen) < most and not is_explained(key):
            chosen.append(key)
    if "seed" not in chosen and differ("seed"):
        chosen.append("seed")
    settings = [{key: value(i, key) for key in chosen} for i in range(len(flats))]
    return [{key: text for key, text in setting.items() if text} for setting in settings]


def _place(key: str) -> tuple[int, bool, str]:
    group = key.partition(".")[0]
    return ORDER.index(group) if group in ORDER else -1, "." in key, key
