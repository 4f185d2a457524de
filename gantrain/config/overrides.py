"""The command line's words, checked before Hydra reads them: its grammar and flags, said in one line."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from gantrain.core.groups import GROUPS, check_choices, choices
from gantrain.core.override import Override
from gantrain.errors import ConfigError, suggest


@dataclass(frozen=True)
class Words:
    """A command line as Hydra can read it.

    Attributes:
        flags: Hydra's own, which version 1.3 wants first.
        overrides: ``key=value`` words.
        package: The part of the config that ``--package`` asks for.
        is_sweep: Whether this is more than one run.
    """

    flags: list[str]
    overrides: list[str]
    package: str | None
    is_sweep: bool


def read(argv: list[str]) -> Words:
    """Check Hydra's flags and the overrides. Raises ConfigError.

    ``sweep=NAME`` is a sweep without ``-m`` too.
    """
    overrides = [word for word in argv if is_override(word)]
    flags = [word for word in argv if not is_override(word)]
    if any(word.startswith("--experimental-rerun") for word in flags):
        raise ConfigError(
            "--experimental-rerun", "reads a pickle, which can run code", "use gantrain resume RUN"
        )
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            known = get_args_parser().parse_args([*flags, *overrides])
    except SystemExit as error:
        what = complaint.getvalue().strip().splitlines()[-1].split("error: ")[-1]
        dashes = "keys are written key=value, without dashes; " * what.startswith("unrecognized")
        raise ConfigError("usage", what, f"{dashes}see gantrain --help") from error
    modes = (known.run, known.multirun, known.cfg, known.info, known.shell_completion)
    if sum(map(bool, modes)) > 1:
        raise ConfigError("usage", "--run, --multirun, --cfg, --info exclude each other", "give one of them")
    if (known.package or known.resolve) and not known.cfg:
        raise ConfigError("usage", "--package and --resolve go with --cfg", "add --cfg job")
    if known.config_path and not (Path(known.config_path).is_absolute() and Path(known.config_path).is_dir()):
        raise ConfigError(
            "--config-path", "is not the absolute path of a folder", "add options with --config-dir DIR"
        )
    if known.config_dir:
        check_choices(Path(known.config_dir))
        if not Path(known.config_dir).is_absolute():  # a sweep is resumed from anywhere; the last flag counts
            flags += ["--config-dir", str(Path(known.config_dir).absolute())]
    overrides = [checked(word) for word in overrides]
    asked = any(re.fullmatch(r"sweep=(?!null$|grid$).+", word) for word in overrides)
    if asked and not any(modes):
        flags.append("--multirun")
    return Words(flags, overrides, known.package, bool(known.multirun) or (asked and not any(modes)))


def is_override(word: str) -> bool:
    """Whether a word sets or removes a key, rather than being a flag or its value."""
    return word.startswith("~") or ("=" in word and not word.startswith("-"))


def checked(word: str) -> str:
    """Return an override as Hydra's grammar can read it. Raises ConfigError for one that no config can take."""
    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException as error:
        typed = Override.parse(word)
        if re.search(r"[~\x80-\U0010ffff]", typed.value) and "'" not in typed.value:
            return checked(str(typed.quoted()))  # a bare ~ or é is not in the grammar
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
        raise ConfigError(f"{group}.name", "is not set by hand", f"choose an option: {group}=OPTION")
    if isinstance(value, str | dict) or override.is_sweep_override():
        return word
    if key in GROUPS and isinstance(value, list):
        raise ConfigError(
            key, "takes one option", f"write {key}=OPTION, or sweep with -m {key}=OPTION,OPTION"
        )
    if key in GROUPS or key.startswith("hydra/") or key == "hydra":
        text = "null" if value is None else str(value)
        raise ConfigError(key, f"has no option '{text}'", suggest(text, choices(key)))
    return word
