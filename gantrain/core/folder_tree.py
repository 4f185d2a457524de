"""The folders under a folder, however many there are and however deep."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from gantrain.errors import CheckpointError

MAX_FOLDERS = 50_000


def folders_under(folder: Path, is_leaf: Callable[[Path], bool] = lambda _: False) -> Iterator[Path]:
    """Yield a folder and those under it, in the order of their numbers and names, without following links.

    Args:
        folder: The first one.
        is_leaf: Whether those under a folder are left out.

    Raises:
        CheckpointError: For more than ``MAX_FOLDERS``.
    """
    stack, count = [str(folder)], 0  # not recursion: a stranger's folders may be nested thousands deep
    while stack:
        path = stack.pop()
        place = Path(path)
        if (count := count + 1) > MAX_FOLDERS:
            what = f"has more than {MAX_FOLDERS:,} folders in it"
            raise CheckpointError(folder, what, "give one that is nearer to the runs")
        yield place
        if place != folder and is_leaf(place):
            continue
        try:
            inner = [entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
        except OSError:  # gone, not readable, or of too long a path
            continue
        stack += sorted(inner, key=_natural, reverse=True)


def _natural(path: str) -> list[int | str]:
    """Return the sort key of a name in which run 2 comes before run 10."""
    parts = re.split(r"(\d+)", os.path.basename(path))
    return [int(part) if part.isdecimal() else part for part in parts]
