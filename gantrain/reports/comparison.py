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

import yaml

from gantrain.errors import printable

# What a run is not about: where it writes and how often, on which machine, what is read of it.
ASIDE = re.compile(
    r"(name|(run|hydra|metric|device)\b.*|dataset\.root|train\.\w+_every|train\.keep_checkpoints|optimizer\.horizon)$"
)
ORDER = ("objective", "penalty", "model", "dataset", "noise", "optimizer", "train")
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
    def ended(self) -> str:
        """How it ended, with its own exit code."""
        shown = self.exit_code is not None and self.status not in ("finished", "pruned", "missing")
        return f"{self.status} ({self.exit_code})" if shown else self.status


def rows(folders: Iterable[Path]) -> list[Row]:
    """Return a row for each run's folder; one that is absent, empty or broken has a row that says so."""
    paths = [Path(folder) for folder in folders]
    jobs = {parent: jobs_of(parent) for parent in {path.parent for path in paths}}
    given = [given_words(path, jobs[path.parent]) for path in paths]
    configs, results = [config_of(path) for path in paths], []
    for path, config in zip(paths, configs, strict=True):
        found = load_json(path / "result.json")
        if not isinstance(found, dict):
            begun = "unfinished" if config else "missing"
            found = {"status": "unreadable" if (path / "result.json").is_file() else begun}
        results.append(found)
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
        name=printable(name),
        varied={key: printable(value) for key, value in setting.items()},
        status=printable(str(result.get("status", "unreadable"))),
        numbers=numbers_in(result.get("metrics")) | tail,
        published=published,
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        exit_code=code if isinstance(code, int) else None,
        error=printable(str(result.get("error") or "")),
        folder=path,
        config=config,
        result=result,
    )


def load_json(path: Path) -> Any:
    """Return what a JSON file holds; None where it is absent or broken."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def numbers_in(found: Any) -> dict[str, float]:
    """Return the finite numbers of a mapping by tag."""
    if not isinstance(found, Mapping):
        return {}
    real = {tag: v for tag, v in found.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    return {str(tag): float(value) for tag, value in real.items() if math.isfinite(value)}


def config_of(run: Path) -> dict[str, Any]:
    """Return a run's resolved config, empty where it has none."""
    found = load_json(run / "config.json")
    return found if isinstance(found, dict) else {}


def jobs_of(sweep: Path) -> dict[str, list[str]]:
    """Return the overrides of every job of a sweep by folder, those that never started among them."""
    found = load_json(sweep / "sweep.json")
    jobs = found.get("jobs") if isinstance(found, dict) else None
    known = [job for job in jobs or [] if isinstance(job, dict) and isinstance(job.get("folder"), str)]
    return {Path(job["folder"]).name: [str(word) for word in job.get("overrides") or []] for job in known}


def given_words(run: Path, jobs: Mapping[str, list[str]] | None = None) -> dict[str, str]:
    """Return what was set by hand for a run, by key, from its folder or else its sweep's ``jobs``, as ``jobs_of``."""
    try:
        words = yaml.safe_load((run / ".hydra" / "overrides.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        words = None
    if not isinstance(words, list):
        words = (jobs_of(run.parent) if jobs is None else jobs).get(run.name, [])
    pairs = [str(word).lstrip("+").partition("=") for word in words]
    return {key: value for key, equals, value in pairs if equals}


def runs_in(folder: Path) -> list[Path]:
    """Return the runs in and under a folder in the order of their numbers and names; also for a checkpoint in a run."""
    folder = folder.resolve()
    inside = folder.parent.parent if folder.parent.name == "checkpoints" else folder
    return [inside] if _is_run(inside) else list(dict.fromkeys(_under(inside)))


def _under(folder: Path) -> Iterator[Path]:
    jobs = [folder / name for name in jobs_of(folder)]
    yield from jobs
    try:
        inner = [Path(entry) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for path in sorted(inner, key=lambda path: [int(p) if p.isdigit() else p for p in _parts(path.name)]):
        if _is_run(path):
            yield path
        elif not path.name.startswith(".") and path not in jobs:
            yield from _under(path)


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name)


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("config.json", "result.json", "metrics.jsonl"))


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
    try:
        number = math.nan if isinstance(value, bool) else float(value)
        if math.isfinite(number):
            return (
                str(int(value if isinstance(value, int) else number))
                if number == int(number)
                else repr(number)
            )
    except (TypeError, ValueError):
        pass
    if isinstance(value, str):
        return value.rstrip("/").rsplit("/", 1)[-1] if "/" in value else value
    return json.dumps(value)


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
    set_by_hand = [key for key in words if not key.startswith(("run.", "hydra")) and differ(key)]
    chosen = [key for key in set_by_hand if beside or not ASIDE.match(key)]
    rest = sorted(
        {key for one in flats for key in one if not ASIDE.match(key)} - set(chosen) - {"seed"},
        key=lambda key: (ORDER.index(g) if (g := key.split(".")[0]) in ORDER else -1, "." in key, key),
    )
    resolved = [i for i in known if flats[i]]
    room = KEYS
    for key in rest:
        explained: dict[tuple[str, ...], str] = {}
        settings = [tuple(value(i, k) for k in chosen if k != "seed") for i in resolved]
        same = [
            explained.setdefault(s, value(i, key)) == value(i, key)
            for s, i in zip(settings, resolved, strict=True)
        ]
        if room and not all(same):
            chosen.append(key)
            room -= 1
    if "seed" not in chosen and differ("seed"):
        chosen.append("seed")
    return [{key: text for key in chosen if (text := value(i, key))} for i in range(len(flats))]
