"""The command line of a run, parsed once and checked before Hydra composes the config: flags and overrides."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString, RangeSweep
from hydra.core.override_parser.types import Override as HydraOverride

from gantrain.config.flags import parse_flags
from gantrain.config.grammar import Word, read_word
from gantrain.config.hydra_store import ConfigStore
from gantrain.config.key_types import UNKNOWN, type_of_key
from gantrain.config.paths import READ_PATHS, absolute
from gantrain.config.replicas import REPLICAS, with_seeds
from gantrain.config.sources import load_plugins
from gantrain.core.groups import GROUPS, STUDY, check_choices, choices
from gantrain.core.override import Override, values_by_key
from gantrain.core.scalars import read_text
from gantrain.core.suggestions import (
    did_you_mean,
    is_switched_off,
    overrides_meant,
    suggest,
    words_meant,
)
from gantrain.errors import ConfigError

MAX_JOBS = 100_000  # of a sweep
# Overrides that need no -m.
SWEEPS = re.compile(rf"sweep=(?!null$|grid$).+|hydra\.mode=MULTIRUN|{re.escape(REPLICAS)}=always")


@dataclass(frozen=True)
class CommandLine:
    """A checked command line."""

    words: list[str]  # as typed
    flags: list[str]  # Hydra's flags with their values
    read: list[Word]  # the other words
    overrides: list[str]  # the same, in Hydra's grammar
    mode: Literal["run", "sweep", "query"]  # a query prints what Hydra knows (``--cfg``, ``--info``)
    config_name: str = "config"  # the primary config
    config_path: str | None = None  # a folder in place of gantrain's own YAML files
    config_dir: str | None = None  # a folder with the user's own choices
    package: str | None = None  # the part of the config that ``--package`` selects

    @classmethod
    def parse(cls, words: Sequence[str]) -> CommandLine:
        """Parse and check the words after ``gantrain``.

        Raises:
            ConfigError: For an unknown flag, flags that exclude each other, or an override that no config accepts.
        """
        known = parse_flags(words)
        flags = list(words)
        for word in known.overrides:
            flags.remove(word)
        if known.config_dir:
            check_choices(Path(known.config_dir))
            absolute = str(Path(known.config_dir).absolute())
            if (
                known.config_dir != absolute
            ):  # a sweep may be resumed from another folder; the last flag counts
                flags += ["--config-dir", absolute]
            known.config_dir = absolute

        # Check the overrides; some of them make a sweep without -m.
        load_plugins()
        is_query = bool(known.cfg or known.info or known.shell_completion or known.hydra_help)
        typed = known.overrides if is_query else with_seeds(known.overrides)
        line = values_by_key(typed)
        read = [check_override(word, line) for word in typed]
        overrides = [word.text for word in read]
        if not (is_query or known.run or known.multirun) and any(map(SWEEPS.fullmatch, overrides)):
            known.multirun = True
            flags.append("--multirun")
        if known.multirun:
            if "hydra.mode=RUN" in overrides:
                raise ConfigError("hydra.mode", "is RUN, and -m sweeps", "leave one of them out")
            overrides = [_in_each_job(word) for word in read]
        elif not is_query:
            _check_single(read)
        return cls(
            words=list(words),
            flags=flags,
            read=read,
            overrides=overrides,
            mode="query" if is_query else "sweep" if known.multirun else "run",
            config_name=known.config_name or "config",
            config_path=known.config_path,
            config_dir=known.config_dir,
            package=known.package,
        )


def _check_single(words: Sequence[Word]) -> None:
    """Check that each override has one value. Raises ConfigError."""
    for word in words:
        if word.override.key_or_group == REPLICAS:
            remedy = "add what varies, as in -m 'seed=range(8)', or give train.replicas=8"
            raise ConfigError("sweep.replicas", "is for several runs, and this is one", remedy)
        if word.override.is_sweep_override():
            key = word.override.key_or_group
            remedy = "add sweep=optuna" if word.override.is_interval_sweep() else "add -m"
            if type_of_key(key).is_text and key not in GROUPS:
                quoted = str(Override.parse(str(word.override.input_line)).quoted())
                remedy += f", or for one text write {shlex.quote(quoted)}"
            raise ConfigError(key, "has several values", remedy)


def _in_each_job(word: Word) -> str:
    """Return an override for the jobs of a sweep alone if the choices that they vary decide whether its key exists."""
    group, _, key = word.override.key_or_group.partition(".")
    if not key or group not in GROUPS or not GROUPS[group].family or word.override.is_sweep_override():
        return word.text
    # Hydra composes the config without what is swept first, where these keys may not exist.
    name, _, value = word.text.partition("=")
    return f"{name}=choice({value})"


def _check_range(override: HydraOverride) -> None:
    """Check that a range holds numbers, and not without end. Raises ConfigError."""
    sweep: Any = override.value()
    has_end = sweep.step and all(map(math.isfinite, (sweep.start, sweep.stop, sweep.step)))
    if not has_end or next(override.sweep_iterator(), None) is None:
        raise ConfigError(override.key_or_group, "sweeps over nothing", "give a range with numbers in it")


def is_varied(override: HydraOverride) -> bool:
    """Whether the jobs of a sweep may have different values of an override."""
    value = override.value()
    return override.is_sweep_override() and not (isinstance(value, ChoiceSweep) and len(value.list) == 1)


def check_count(overrides: Sequence[HydraOverride]) -> None:
    """Check that the combinations of swept values fit in memory, before they are made. Raises ConfigError."""
    counts = {one.get_key_element(): _count(one.value()) for one in overrides if one.is_sweep_override()}
    if (total := math.prod(counts.values())) > MAX_JOBS:
        where = max(counts, key=counts.__getitem__)
        raise ConfigError(where, f"makes a sweep of {total:,} jobs", f"sweep over {MAX_JOBS:,} at most")


def _count(values: Any) -> int:
    """Return how many values a sweep override has; 1 where Hydra makes them from the names of choices."""
    if isinstance(values, RangeSweep) and values.start is not None and values.stop is not None:
        return max(0, math.ceil((values.stop - values.start) / values.step))
    return len(values.list) if isinstance(values, ChoiceSweep) else 1


def check_override(word: str, line: Mapping[str, str]) -> Word:
    """Return an override as Hydra reads it.

    Args:
        word: As typed.
        line: The values of all overrides of its line, by key.

    Raises:
        ConfigError: For one that no config accepts.
    """
    if "=" not in word and not word.startswith("~"):
        remedy = did_you_mean(words_meant(word, "", (), line)) or "write key=value"
        raise ConfigError(word, "is not an override", remedy)
    if word == "hydra/sweeper=basic":  # Hydra's name for every combination
        word = "hydra/sweeper=grid"
    if word.startswith("sweep.replicas="):
        word = word.replace("sweep.replicas", REPLICAS, 1)
    read = read_word(word)
    if "=" in word:
        _check_key(Override.parse(word), line)
    override = read.override
    key, value = str(override.key_or_group), override.value()
    group, _, name = key.partition(".")
    if override.is_delete():
        raise ConfigError(key, "cannot be removed", "leave it out for the default")
    if not key:
        raise ConfigError(word, "has no key", "write key=value")
    if "/" in key and not key.startswith("hydra/"):
        raise ConfigError(key, "there is no such config group", f"did you mean '{key.replace('/', '.')}'?")
    if override.is_range_sweep():
        _check_range(override)
    if group in GROUPS and (name == "name" or (not name and isinstance(value, dict) and "name" in value)):
        raise ConfigError(f"{group}.name", "cannot be set", f"make a choice: {group}=CHOICE")
    if re.match(r"\+*hydra\W.*(launcher|sweeper).*_target_", word):
        name = "hydra/sweeper" if "sweeper" in word else "hydra/launcher"
        known = {*choices(name), *(file.removesuffix(".yaml") for file in ConfigStore.instance().list(name))}
        what = f"names code to run; only the choices of {name} do"
        raise ConfigError(key, what, f"write {name}=CHOICE: {', '.join(sorted(known))}")
    if key in GROUPS and isinstance(value, list):
        remedy = f"write {key}=CHOICE, or sweep with -m {key}=CHOICE,CHOICE"
        raise ConfigError(key, "takes one choice", remedy)
    # A choice is named, by a text without an interpolation; braces hold keys of the group.
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    is_several = override.is_sweep_override() or isinstance(value, dict)
    is_named = None not in values and (is_several or "${" not in str(value or "${"))
    if not is_named and (key in GROUPS or key.startswith("hydra/") or key == "hydra"):
        text = "null" if None in values else Override.parse(word).value
        raise ConfigError(key, f"'{text}' is not one of its choices", suggest(text, choices(key), key))
    return read


def _check_key(typed: Override, line: Mapping[str, str]) -> None:
    """Check that a key exists in some config, or has no known meaning. Raises ConfigError with what was meant."""
    key, value = typed.key, read_text(typed.value)
    if key == "dataset" and "/" in value:
        own = "table dataset.path" if value.endswith((".csv", ".parquet")) else "image_folder dataset.root"
        remedy = did_you_mean([f"dataset={own}={typed.value}"])
        raise ConfigError(key, f"{value!r} is a path, not one of its choices", remedy)
    if key == STUDY:
        raise ConfigError(key, "is no choice of a run, but plans many", f"type gantrain study {value}")
    if key in GROUPS or key.startswith("hydra") or type_of_key(key) != UNKNOWN:
        return
    what = "there is no such key"
    if meant := overrides_meant(key, typed.value, line):
        raise ConfigError(key, what, did_you_mean(meant))
    if is_switched_off(key, value):
        raise ConfigError(key, what, "leave it out: it is off by default")


def with_absolute_path(word: str) -> str:
    """Return an override in which the path, or each of several, is absolute, if its key is one of ``READ_PATHS``."""
    typed = Override.parse(word) if "=" in word else None
    if typed is None or typed.key not in READ_PATHS or "${" in typed.value:
        return word
    value = OverridesParser.create().parse_override(word).value()
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    paths = [value.text if isinstance(value, QuotedString) else value for value in values]
    if not all(isinstance(path, str) for path in paths):
        return word
    quoted = [typed._replace(value=absolute(path)).quoted().value for path in map(str, paths)]
    return str(typed._replace(value=",".join(quoted)))
