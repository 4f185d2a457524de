"""From the command to the end of its first step, over the time of ``import torch`` alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cases import all_cases
from benchmarks.clock import Stopwatch, Turn, load, median, spread
from benchmarks.contest import EAGER, Options, environment, own_run, ratios, temporary_folder
from benchmarks.table import Reading, Table

ROUNDS = 3  # at most
CASES = ("ring", "digits")
MOST = {"ring": 1.35, "digits": 1.5}
IMPORT = "import torch"


def import_torch(folder: Path) -> Turn:
    """Return the turn of a new process that imports torch and ends."""
    before, watch = sum(os.times()[2:4]), Stopwatch()
    subprocess.run([sys.executable, "-c", IMPORT], env=environment(folder), check=True)
    return watch.stop(1, sum(os.times()[2:4]) - before)


def measure(options: Options) -> Iterator[Table]:
    """Yield the table; the first round, which fills the disk's cache, is not counted."""
    names = options.cases or (CASES[:1] if options.is_quick else CASES)
    turns: dict[str, list[Turn]] = {name: [] for name in (IMPORT, *names)}
    cases = all_cases(options.data)
    with temporary_folder() as folder:
        for i in range(1 if options.is_quick else min(options.turns, ROUNDS) + 1):
            turns[IMPORT].append(import_torch(folder))
            for name in names:
                with own_run((*cases[name].words, *EAGER), folder / f"{name}{i}") as player:
                    turns[name].append(player.start)
    if not options.is_quick:
        turns = {name: taken[1:] for name, taken in turns.items()}
    rows = [
        [
            name,
            spread(ratios(taken, turns[IMPORT])),
            spread([a.cpu / b.cpu for a, b in zip(taken, turns[IMPORT], strict=True)]),
            f"{median(turn.wall for turn in taken):.2f}",
            load(taken),
        ]
        for name, taken in turns.items()
    ]
    head = ("first step of", f"over {IMPORT}", "the same in CPU", "seconds", "others")
    readings = [
        Reading(
            f"first step of {name} over {IMPORT}", ratios(turns[name], turns[IMPORT]), most=MOST.get(name)
        )
        for name in names
    ]
    yield Table(
        "Start-up", head, rows, "new processes in turn; a step counts once its run could go on", readings
    )
