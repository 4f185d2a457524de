"""The command line of a run, parsed once and checked before Hydra composes the config: flags and overrides."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import HydraException

from gantrain.config.paths import READ_PATHS, absolute
from gantrain.core.groups import GROUPS, check_choices, choices, overrides_choosing
from gantrain.core.override import Override
from gantrain.errors import ConfigError, suggest

SWEEPS = re.compile(r"sweep=(?!null$|grid$).+|hydra\.mode=MULTIRUN")  # overrides that need no -m


@dataclass(frozen=True)
class CommandLine:
    """A checked command line."""

    words: list[str]  # as typed
    flags: list[str]  # Hydra's flags with their values
    overrides: list[str]  # the other words, in Hydra's grammar
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
        # Split flags from overrides with Hydra's own parser, whose complaint goes to stderr.
        if any(word.startswith("--experimental-rerun") for word in words):
            what = "reads a pickle, which can run code"
            raise ConfigError("--experimental-rerun", what, "use gantrain resume RUN")
        message = io.StringIO()
        try:
            with contextlib.redirect_stderr(message):
                known = get_args_parser().parse_intermixed_args(words)
        except SystemExit as error:
            what = message.getvalue().strip().splitlines()[-1].split("error: ")[-1]
            dashes = "keys are written key=value, without dashes; " * what.startswith("unrecognized")
            raise ConfigError("usage", what, f"{dashes}see gantrain --help") from error

        # Check the flags against each other.
        modes = (known.run, known.multirun, known.cfg, known.info, known.shell_completion, known.hydra_help)
        if sum(map(bool, modes)) > 1:
            raise ConfigError(
                "usage", "--run, --multirun, --cfg, --info exclude each other", "give one of them"
            )
        if (known.package or known.resolve) and not known.cfg:
            raise ConfigError("usage", "--package and --resolve go with --cfg", "add --cfg job")
        path = Path(known.config_path or "/")
        if not (path.is_absolute() and path.is_dir()):
            what = "is not the absolute path of a folder"
            raise ConfigError("--config-path", what, "add choices with --config-dir DIR")
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
        overrides = [check_override(word) for word in known.overrides]
        if not any(modes) and any(map(SWEEPS.fullmatch, overrides)):
            known.multirun = True
            flags.append("--multirun")
        is_run = known.run or not any((*modes, known.multirun))
        return cls(
            words=list(words),
            flags=flags,
            overrides=overrides,
            mode="run" if is_run else "sweep" if known.multirun else "query",
            config_name=known.config_name or "config",
            config_path=known.config_path,
            config_dir=known.config_dir,
            package=known.package,
        )


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


def check_override(word: str) -> str:
    """Return an override, quoted if Hydra's grammar needs it. Raises ConfigError for one that no config accepts."""
    if "=" not in word and not word.startswith("~"):
        meant = overrides_choosing(word)
        remedy = f"did you mean {' or '.join(map(repr, meant))}?" if meant else "write key=value"
        raise ConfigError(word, "is not an override", remedy)
    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException as error:
        typed = Override.parse(word)
        if re.search(r"[~\x80-\U0010ffff]", typed.value) and "'" not in typed.value:
            return check_override(str(typed.quoted()))  # the grammar has no bare ~ or é
        remedy = "write key=value, and quote a value that holds any of , = [ ] { }"
        raise ConfigError(word, "is not an override", remedy) from error
    key, value = str(override.key_or_group), override.value()
    group, _, name = key.partition(".")
    if override.is_delete():
        raise ConfigError(key, "cannot be removed", "leave it out for the default")
    if not key:
        raise ConfigError(word, "has no key", "write key=value")
    if "/" in key and not key.startswith("hydra/"):
        raise ConfigError(key, "there is no such config group", f"did you mean '{key.replace('/', '.')}'?")
    if override.is_range_sweep() and next(override.sweep_iterator(), None) is None:
        raise ConfigError(key, "sweeps over nothing", "give a range with numbers in it")
    if group in GROUPS and (name == "name" or (not name and isinstance(value, dict) and "name" in value)):
        raise ConfigError(f"{group}.name", "cannot be set", f"make a choice: {group}=CHOICE")
    if isinstance(value, str | dict) or override.is_sweep_override():
        return word
    if key in GROUPS and isinstance(value, list):
        remedy = f"write {key}=CHOICE, or sweep with -m {key}=CHOICE,CHOICE"
        raise ConfigError(key, "takes one choice", remedy)
    if key in GROUPS or key.startswith("hydra/") or key == "hydra":
        text = "null" if value is None else str(value)
        raise ConfigError(key, f"'{text}' is not one of its choices", suggest(text, choices(key)))
    return word
