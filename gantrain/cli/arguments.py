"""Parse the arguments of a verb: folders of runs, and ``key=value`` words."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantrain.cli.command import Word
from gantrain.config.paths import DATA_PATHS
from gantrain.errors import CheckpointError, ConfigError, writing

if TYPE_CHECKING:
    from gantrain.config.options import Config
    from gantrain.datasets.base import Data
    from gantrain.training.checkpoint import Checkpoint

DATA_WORDS = (*DATA_PATHS, "dataset.allow_changed")
DATA_HELP = {key: Word(is_path=key != "dataset.allow_changed") for key in DATA_WORDS}


def split_arguments(verb: str, argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the folders among a verb's arguments, and the values of its words. Raises ConfigError for a flag."""
    from gantrain.core.override import Override

    folders: list[str] = []
    words: dict[str, str] = {}
    for argument in argv:
        if argument.startswith("-"):
            raise ConfigError(argument, f"gantrain {verb} has no such flag", _remedy_for_flag(verb, argument))
        # The name of a run may have an equals sign in it.
        if "=" in argument and not os.path.exists(os.path.expanduser(argument)):
            override = Override.parse(argument)
            words[override.key] = override.value
        else:
            folders.append(argument)
    return folders, words


def _remedy_for_flag(verb: str, flag: str) -> str:
    from gantrain.cli.command import load_command
    from gantrain.core.suggestions import nearest

    name, _, value = flag.lstrip("-").partition("=")
    meant = nearest(name, load_command(verb).known_words)
    return f"write {meant[0]}={value or 'VALUE'}" if meant else f"see gantrain {verb} --help"


def single_folder(verb: str, folders: Sequence[str]) -> Path:
    """Return the one folder that a verb works on, of ``RUN@best`` or ``RUN@STEP`` that of the checkpoint.

    Raises:
        ConfigError: For none and for several.
        CheckpointError: For a run without such a checkpoint.
    """
    from gantrain.core.run_address import path_of

    if len(folders) != 1:
        what = f"takes one run, got {' '.join(folders)}" if folders else "names no run"
        raise ConfigError(verb, what, f"gantrain {verb} outputs/<date>/<run>")
    return path_of(folders[0])


def folders_and_out(verb: str, argv: Sequence[str]) -> tuple[list[Path], str]:
    """Return the folders of a verb that takes any number of them, and the value of ``out=``.

    Raises:
        ConfigError: For another word, and without a folder.
        CheckpointError: For ``RUN@best`` or ``RUN@STEP`` of a run without such a checkpoint.
    """
    from gantrain.core.run_address import path_of

    folders, words = split_arguments(verb, argv)
    if wrong := [key for key in words if key != "out"]:
        raise ConfigError(wrong[0], "there is no such key", "give folders of runs, and out=PATH")
    if not folders:
        raise ConfigError(verb, "names no run", f"gantrain {verb} outputs/<date>")
    return [path_of(folder) for folder in folders], words.get("out", "")


def output_path(given: str | None, default: Path, or_folder: bool = False) -> Path:
    """Return where a verb writes: what ``out=`` names, in whose place its links are followed, or the default.

    Args:
        given: The value of ``out=``.
        default: Where to write without it.
        or_folder: Whether a name without a suffix, or of a folder that exists, means a folder of files.

    Raises:
        OutputError: When nothing can be written there; call it before the work.
    """
    from gantrain.core.atomic import check_place

    path = Path(os.path.expanduser(given)) if given else default
    if given and path.is_symlink():  # the user's own; in a run's folder it may be a stranger's
        path = Path(os.path.realpath(path))
    with writing(path, "choose another out=PATH"):
        check_place(path / "part" if or_folder and (path.is_dir() or not path.suffix) else path)
    return path


def find_runs(folder: Path) -> list[Path]:
    """Return the runs in a folder that a user named, or the checkpoint. Raises CheckpointError when there is none."""
    from gantrain.core.run_folder import is_checkpoint
    from gantrain.core.sweep_folder import SweepFolder
    from gantrain.core.text import one_line
    from gantrain.reports.runs import first_runs, runs_under

    if is_checkpoint(folder):
        return [folder]
    if runs := runs_under(folder) if folder.exists() else []:
        kept, notes = first_runs(runs), []
        if len(kept) < len(runs):
            left_out = f"{len(runs) - len(kept):,} of {len(runs):,} runs are left out"
            notes.append(f"{folder}: {left_out}, first those that never began")
        try:
            SweepFolder(folder).jobs()
        except CheckpointError as error:
            notes.append(f"jobs that never began are left out: {error}")
        for note in notes:
            print(f"gantrain: {one_line(note)}", file=sys.stderr)
        return kept
    what = "holds no runs" if folder.exists() else "there is no such folder"
    raise CheckpointError(folder, what, "give a run, or a folder that holds runs")


def checkpoint_and_words(verb: str, argv: list[str]) -> tuple[Checkpoint, dict[str, str]]:
    """Return the checkpoint of a verb's run, and its words by key. Raises ConfigError, CheckpointError."""
    from gantrain.training.checkpoint import load_checkpoint

    folders, words = split_arguments(verb, argv)
    return load_checkpoint(single_folder(verb, folders)), words


def set_data_words(plain: dict[str, Any], words: Mapping[str, str]) -> None:
    """Set where the data of a run lie now, and whether they may have changed, in its config. Raises ConfigError."""
    from gantrain.config.grammar import read_value
    from gantrain.config.key_types import type_of_key

    for key in DATA_WORDS:
        if key in words:
            plain["dataset"][key.partition(".")[2]] = read_value(key, words[key], type_of_key(key))


def load_data(checkpoint: Checkpoint, words: Mapping[str, str]) -> tuple[Config, Data]:
    """Return the config and the data of a checkpoint's run, which lie where ``DATA_WORDS`` among ``words`` say.

    Raises:
        ConfigError: For words that cannot be read.
        DataError: For data that are missing, or not those that the run was trained on.
    """
    from gantrain.config.resolve import resolve
    from gantrain.datasets.files.torchvision import SOURCES, downloads
    from gantrain.training.restore import check_same_data

    plain = checkpoint.config
    set_data_words(plain, words)
    with downloads(not SOURCES.isdisjoint(words)):
        config = resolve(plain)
        check_same_data(config, checkpoint)
        return config, config.dataset.load(config.seed)


def read_options(options: type, words: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of a verb's words by the types of a dataclass's fields. Raises ConfigError."""
    from dataclasses import fields
    from typing import get_type_hints

    from gantrain.config.grammar import read_value
    from gantrain.config.key_types import type_of_hints
    from gantrain.core.hydra_errors import unknown_key

    hints = get_type_hints(options)
    if unknown := words.keys() - hints.keys():
        raise unknown_key(min(unknown), (field.name for field in fields(options)))
    return {key: read_value(key, text, type_of_hints([hints[key]])) for key, text in words.items()}
