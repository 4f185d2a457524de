"""The most memory that a run holds, over what a process holds that has imported torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cases import all_cases
from benchmarks.contest import EAGER, Options, environment, own_run, temporary_folder
from benchmarks.table import Reading, Table

CASES = ("ring", "digits", "mnist_r1")
STEPS = 60
MOST = {"digits": 150.0}  # MB over import torch
PRINT_PEAK = "import torch; from benchmarks.clock import peak_memory; print(peak_memory())"


def import_torch(folder: Path) -> float:
    """Return the most memory of a process that imports torch, in MB."""
    command = [sys.executable, "-c", PRINT_PEAK]
    done = subprocess.run(command, env=environment(folder), check=True, capture_output=True, text=True)
    return float(done.stdout)


def measure(options: Options) -> Iterator[Table]:
    """Yield the table."""
    rows, readings = [], []
    cases = all_cases(options.data)
    with temporary_folder() as folder:
        alone = import_torch(folder)
        rows.append(["import torch", f"{alone:.0f}", "", ""])
        for name in options.cases or (CASES[:1] if options.is_quick else CASES):
            with own_run((*cases[name].words, *EAGER), folder / name) as player:
                player.play(1 if options.is_quick else STEPS)
                steps = player.facts["memory"]
                player.housekeeping()
                whole = player.facts["memory"]
            over = [whole - alone]
            readings.append(Reading(f"memory of {name} over import torch, MB", over, most=MOST.get(name)))
            rows.append([name, f"{steps:.0f}", f"{whole:.0f}", f"{whole - alone:.0f}"])
    note = "the largest resident set so far, with the pages of shared libraries"
    head = ("process", "after 60 steps, MB", "and an evaluation", "over import torch")
    yield Table("Memory", head, rows, note, readings)
