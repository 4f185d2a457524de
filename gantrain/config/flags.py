"""Hydra's flags on a command line, split from the overrides."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser

from gantrain.core.override import values_by_key
from gantrain.core.suggestions import did_you_mean, flags_meant
from gantrain.errors import ConfigError


def parse_flags(words: Sequence[str]) -> Any:
    """Split flags from overrides with Hydra's own parser. Raises ConfigError for an unknown flag, or several modes."""
    if any(word.startswith("--experimental-rerun") for word in words):
        what = "reads a pickle, which can run code"
        raise ConfigError("--experimental-rerun", what, "use gantrain resume RUN")
    message = io.StringIO()  # where the parser complains
    parser = get_args_parser()
    parser.allow_abbrev = False  # else --exp is --experimental-rerun
    try:
        with contextlib.redirect_stderr(message):
            known, unknown = parser.parse_known_intermixed_args(words)
    except SystemExit as error:
        what = message.getvalue().strip().splitlines()[-1].split("error: ")[-1]
        raise ConfigError("usage", what, "see gantrain --help") from error
    if unknown:
        raise _unknown_flag(unknown[0], words)

    # Check the flags against each other.
    modes = (known.run, known.multirun, known.cfg, known.info, known.shell_completion, known.hydra_help)
    if sum(map(bool, modes)) > 1:
        raise ConfigError("usage", "--run, --multirun, --cfg, --info exclude each other", "give one of them")
    if (known.package or known.resolve) and not known.cfg:
        raise ConfigError("usage", "--package and --resolve go with --cfg", "add --cfg job")
    path = Path(known.config_path or "/")
    if not (path.is_absolute() and path.is_dir()):
        what = "is not the absolute path of a folder"
        raise ConfigError("--config-path", what, "add choices with --config-dir DIR")
    return known


def _unknown_flag(word: str, words: Sequence[str]) -> ConfigError:
    """Return the error for a flag that does not exist, with the flag, key or verb that was meant."""
    flag, _, value = word.partition("=")
    following = words[words.index(word) + 1 :]
    if not value and following and "=" not in following[0] and not following[0].startswith("-"):
        value = following[0]
    meant = did_you_mean(flags_meant(flag, value, values_by_key(words)))
    remedy = meant or "keys are written key=value, without dashes; see gantrain --help"
    return ConfigError("usage", f"unrecognized arguments: {word}", remedy)
