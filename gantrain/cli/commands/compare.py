"""``gantrain compare DIR…``."""

import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gantrain.cli.arguments import find_runs, folders_and_out
from gantrain.cli.command import Command, Word
from gantrain.errors import ConfigError, writing


def compare(argv: list[str]) -> int:
    """Print the table of any runs, and write it with its pictures to a folder."""
    from gantrain.core.override import values_by_key
    from gantrain.reports.ranking import by_metric
    from gantrain.reports.runs import read_rows
    from gantrain.reports.summary import comparison_text, file_lines, write_files

    metric = values_by_key(argv).get("metric", "")
    folders, out = folders_and_out("compare", [word for word in argv if word != f"metric={metric}"])
    runs = [run for folder in folders for run in find_runs(folder)]
    found = read_rows(dict.fromkeys(runs))
    if metric:
        found = by_metric(found, metric)
    folder = Path(os.path.expanduser(out)) if out else _folder_for(folders, runs)
    if out and not _own_sweep(folder, runs):
        _check_free(folder)
    print(comparison_text(found))
    with writing(folder, "choose another out=FOLDER"):
        folder.mkdir(parents=True, exist_ok=True)
    errors = write_files(folder, found)
    report = shlex.join(["gantrain", "report", *map(str, folders)])
    print(f"\n{file_lines(folder)}\nreport     {report}")
    for error in errors[1:]:
        print(f"gantrain: {error}", file=sys.stderr)
    if errors:
        raise errors[0]
    return 0


def _own_sweep(folder: Path, runs: Sequence[Path]) -> bool:
    """Return whether a folder is the sweep of all these runs, whose own summary is then made anew."""
    from gantrain.core.run_folder import is_sweep

    return is_sweep(folder) and {run.parent for run in runs} == {folder.resolve()}


def _folder_for(folders: Sequence[Path], runs: Sequence[Path]) -> Path:
    if len(folders) == 1 and _own_sweep(folders[0], runs):
        return folders[0]
    name = f"comparison-{time.strftime('%Y-%m-%d-%H-%M-%S')}"
    names = [name, *(f"{name}-{i}" for i in range(2, 100))]
    return next(path for path in map(Path, names) if not path.exists())


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError("out", f"{folder} is a file", "give a folder that is new or empty")
    if folder.exists() and os.listdir(folder):
        raise ConfigError("out", f"{folder} is not empty", "give a folder that is new or empty")


COMMAND = Command(
    compare,
    usage=(("DIR ... [metric=TAG out=FOLDER]", "a table of any runs, with a figure and a sheet of samples"),),
    order=60,
    folder="sweep",
    many=True,
    words={
        "metric": Word("the tag to compare by, as divergence/frechet"),
        "out": Word("where to write it", is_path=True),
    },
)
