"""A study as its file lays it down: named settings, a search in each, a budget, seeds, and the metric that decides."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gantrain.config.paths import DATA_PATHS
from gantrain.core.directions import direction, is_of_own_d
from gantrain.core.files import MAX_BYTES, read_bytes
from gantrain.core.groups import STUDY, choices, yaml_dir, yaml_error
from gantrain.core.override import values_by_key
from gantrain.core.plugins import config_folders
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError
from gantrain.reports.comparison.intervals import MIN_SEEDS
from gantrain.sweeps.study.search import read_search, read_words, wrong

KEYS = ("question", "words", "settings", "search", "budget", "seeds", "metric", "direction")
BUDGETS = ("images", "steps", "seconds")
MAX_RUNS = 10_000


@dataclass(frozen=True)
class Trial:
    """One run of a study: its setting, what the search drew for it, its seed, and all of its words."""

    setting: str
    drawn: tuple[str, ...]
    seed: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        name: Of its file.
        question: What it asks, in a sentence.
        settings: The override words of each setting by its name, shared ones first.
        searches: The lists of words that each setting tries; one empty list without a search.
        budget: Of each run, as an override word.
        seeds: Of each list of words.
        metric: The tag that decides.
        text: Of the file.
    """

    name: str
    question: str
    settings: dict[str, tuple[str, ...]]
    searches: dict[str, tuple[tuple[str, ...], ...]]
    budget: str
    seeds: tuple[int, ...]
    metric: str
    text: str

    @property
    def has_search(self) -> bool:
        """Whether any setting tries several values."""
        return any(len(tried) > 1 for tried in self.searches.values())

    def trials(self, typed: tuple[str, ...] = ()) -> Iterator[Trial]:
        """Yield every run, seeds side by side; ``typed`` words come last and replace those of the file."""
        for name, words in self.settings.items():
            for drawn, seed in itertools.product(self.searches[name], self.seeds):
                yield Trial(name, drawn, seed, (*words, self.budget, *drawn, f"seed={seed}", *typed))


def study_file(name: str) -> Path:
    """Return the file of a shipped study or of a plug-in's, by its name, or of one's own, by its path.

    Raises:
        ConfigError: When there is no such study.
    """
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError("study", f"there is no file {name}", "give a name, or the path of a .yaml file")
        return path
    known = choices(STUDY)
    if name not in known:
        raise ConfigError("study", f"there is no study {name!r}", suggest(name, known))
    folders = (folder / STUDY / f"{name}.yaml" for folder in (yaml_dir(), *config_folders()))
    return next(file for file in folders if file.is_file())


def read_study(path: Path, name: str = "") -> Study:
    """Return the study of a file, of which nothing runs code: it names registered choices and values of keys.

    Raises:
        ConfigError: For a file that is not a study.
    """
    try:
        content = read_bytes(path, MAX_BYTES)
        stream = io.BytesIO(content)
        stream.name = str(path)  # in the parser's messages
        plain = yaml.safe_load(stream)
    except yaml.MarkedYAMLError as error:
        raise yaml_error(error) from error
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(path, f"cannot be read ({' '.join(str(error).split())})", "write YAML") from error
    if not isinstance(plain, dict) or not all(isinstance(key, str) for key in plain):
        raise wrong(path, "", "holds no keys", "write settings, seeds and a metric")
    for key in plain:
        if key not in KEYS:
            raise wrong(path, key, "there is no such key", suggest(key, KEYS))
    shared = read_words(path, "words", plain.get("words", []))
    settings, searches = _settings(path, plain, shared)
    study = Study(
        name or path.stem,
        " ".join(str(plain.get("question") or "").split()),
        settings,
        searches,
        _budget(path, plain.get("budget")),
        _seeds(path, plain.get("seeds")),
        _metric(path, plain.get("metric"), plain.get("direction")),
        content.decode("utf-8", errors="replace"),
    )
    runs = len(study.seeds) * sum(map(len, searches.values()))
    if runs > MAX_RUNS:
        raise wrong(path, "seeds", f"makes a study of {runs:,} runs", f"plan {MAX_RUNS:,} at most")
    return study


def _settings(
    path: Path, plain: Mapping[str, Any], shared: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the words and the searches of the settings by name."""
    found = plain.get("settings")
    if not isinstance(found, dict) or len(found) < 2:
        raise wrong(path, "settings", "are fewer than two", "name each and list its override words")
    words, searches = {}, {}
    for key, own in found.items():
        name, where = str(key), f"settings.{key}"
        own = own if isinstance(own, dict) else {"words": own}
        if unknown := own.keys() - {"words", "search"}:
            raise wrong(
                path, where, f"has no key {min(map(str, unknown))}", "write words, and search if it has one"
            )
        words[name] = (*shared, *read_words(path, where, own.get("words") or []))
        searches[name] = read_search(path, where, own.get("search", plain.get("search")))
    return words, searches


def _budget(path: Path, found: Any) -> str:
    if isinstance(found, dict) and len(found) == 1:
        ((key, value),) = found.items()
        if key in BUDGETS and isinstance(value, int | float) and value > 0 and math.isfinite(value):
            return f"train.{key}={value}"
    raise wrong(
        path,
        "budget",
        "is none",
        f"give every run the same: one of {', '.join(BUDGETS)}, as {{images: 100000}}",
    )


def _seeds(path: Path, found: Any) -> tuple[int, ...]:
    """Return the seeds: a number is that many, from 0 on."""
    seeds = list(range(min(found, MAX_RUNS + 1))) if type(found) is int else found
    is_list = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not is_list or len(set(seeds)) < len(seeds) or len(seeds) < MIN_SEEDS:
        raise wrong(path, "seeds", f"are not {MIN_SEEDS} or more", "fewer decide nothing; write seeds: 10")
    return tuple(seeds)


def _metric(path: Path, found: Any, typed: Any) -> str:
    """Return the tag that decides. Raises ConfigError for one of the run's own D, or without a known direction."""
    tag = found if isinstance(found, str) else ""
    known = direction(tag)
    if known is None or is_of_own_d(tag):
        why = "is a number of each run's own D" if tag and is_of_own_d(tag) else "has no known direction"
        raise wrong(
            path, "metric", f"{tag or found} {why}", "compare by divergence/js_refit or another metric"
        )
    if typed is not None and not str(known).startswith(str(typed)):
        raise wrong(path, "direction", f"{typed} contradicts {tag}: {known}", "leave it out")
    return tag


def changes(study: Study, typed: tuple[str, ...]) -> list[str]:
    """Return the words typed for a study that change what its file lays down, which the place of the data does not."""
    return [
        f"{key}={value}"
        for key, value in values_by_key(typed).items()
        if not key.startswith(("run.", "device")) and key not in DATA_PATHS
    ]
