"""``gantrain compare DIR…``."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from gantrain.errors import CheckpointError, ConfigError, OutputError
from gantrain.reports.comparison import rows, runs_in
from gantrain.reports.tables import table, where, write_files


def compare(argv: list[str]) -> int:
    """Print the table of any runs, and write it with its pictures to a folder."""
    folders, out = words("compare", argv)
    runs = [run for folder in folders for run in found_in(folder)]
    found = rows(dict.fromkeys(runs))
    folder = Path(out).expanduser() if out else _folder_for(folders, runs)
    if out and not _own_sweep(folder, runs):
        _see_that_it_is_free(folder)
    print(table(found))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            folder, f"cannot be made ({error.strerror})", "choose another out=FOLDER"
        ) from error
    complaints = write_files(folder, found)
    report = " ".join(["gantrain report", *map(str, folders)])
    print(f"\n{where(folder)}\nreport     {report}")
    if complaints:
        raise OutputError(folder, "; ".join(complaints), "free space, or choose another out=FOLDER")
    return 0


def words(verb: str, argv: Sequence[str]) -> tuple[list[Path], str]:
    """Return the folders that a verb's words name, and what ``out=`` says.

    Raises:
        ConfigError: For a flag, a word that is neither, or no folder at all.
    """
    folders, out = [], ""
    for word in argv:
        key, equals, value = word.partition("=")
        if key == "out" and equals:
            out = value
        elif word.startswith("-"):
            raise ConfigError(word, f"gantrain {verb} has no such flag", "see gantrain --help")
        elif equals and not Path(word).exists():
            raise ConfigError(key, "there is no such key", "give folders of runs, and out=PATH")
        else:
            folders.append(Path(word).expanduser())
    if not folders:
        raise ConfigError(verb, "names no run", f"gantrain {verb} outputs/<date>")
    return folders, out


def found_in(folder: Path) -> list[Path]:
    """Return the runs in a folder that a user named. Raises CheckpointError when there is none."""
    if not folder.exists():
        raise CheckpointError(folder, "there is no such folder", "give a run, or a folder that holds runs")
    runs = runs_in(folder)
    if not runs:
        raise CheckpointError(folder, "holds no runs", "give a run, or a folder that holds runs")
    return runs


def _own_sweep(folder: Path, runs: Sequence[Path]) -> bool:
    """Return whether a folder is the sweep of all these runs, whose own summary is then made anew."""
    marked = any((folder / name).is_file() for name in ("sweep.json", "multirun.yaml"))
    return marked and {run.parent for run in runs} == {folder.resolve()}


def _folder_for(folders: Sequence[Path], runs: Sequence[Path]) -> Path:
    if len(folders) == 1 and _own_sweep(folders[0], runs):
        return folders[0]
    name = f"comparison-{time.strftime('%Y-%m-%d-%H-%M-%S')}"
    names = [name, *(f"{name}-{i}" for i in range(2, 100))]
    return next(path for path in map(Path, names) if not path.exists())


def _see_that_it_is_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError("out", f"{folder} is a file", "give a folder that is new or empty")
    if folder.exists() and os.listdir(folder):
        raise ConfigError("out", f"{folder} is not empty", "give a folder that is new or empty")
