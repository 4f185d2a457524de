"""A sweep of two jobs at once against the same sweep one after the other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.clock import Stopwatch, Turn, load, median, spread
from benchmarks.contest import EAGER, Options, PlayerError, environment, ratios, temporary_folder
from benchmarks.table import Reading, Table

JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
STEPS = {"ring": 2500, "digits": 500}  # of a job, which then take about as long


def sweep(words: Sequence[str], folder: Path, seeds: str = "0,1") -> Turn:
    """Run a sweep to its end, and return its turn. Raises PlayerError when it fails."""
    command = [sys.executable, "-m", "gantrain", "-m", f"seed={seeds}", *words, f"run.dir={folder}"]
    before, watch = sum(os.times()[2:4]), Stopwatch()
    done = subprocess.run(command, env=environment(folder.parent), capture_output=True, text=True)
    if done.returncode:
        raise PlayerError((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
    return watch.stop(1, sum(os.times()[2:4]) - before)


def measure(options: Options) -> Iterator[Table]:
    """Yield the table."""
    rows, readings = [], []
    for dataset, length in {"ring": 2}.items() if options.is_quick else STEPS.items():
        words = (f"dataset={dataset}", f"train.steps={length}", *EAGER)
        with temporary_folder() as folder:
            one_by_one = [sweep(words, folder / "sequence")]
            at_once = [sweep((*words, *JOBLIB), folder / "joblib")]
        gain = ratios(one_by_one, at_once)
        readings.append(Reading(f"sweep of {dataset}, two jobs at once over one by one", gain, least=1.7))
        seconds = [f"{median(turn.wall for turn in turns):.1f}" for turns in (one_by_one, at_once)]
        rows.append([dataset, str(length), spread(gain), *seconds, load(one_by_one)])
    note = "whole commands, start-up and metrics included"
    head = ("dataset", "steps of a job", "gain of two at once", "one by one, s", "at once, s", "others")
    yield Table("Sweep of two jobs", head, rows, note, readings)
