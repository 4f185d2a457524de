"""A sweep over seeds whose runs are played at once, against the same sweep by two jobs at a time."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.clock import load, median, spread
from benchmarks.contest import EAGER, Options, ratios, temporary_folder
from benchmarks.parts.sweep import JOBLIB, sweep
from benchmarks.table import Reading, Table

WIDTHS, RUNS, STEPS = {32: 3.0, 128: None}, 32, 3000  # and the least gain at a width


def measure(options: Options) -> Iterator[Table]:
    """Yield the table."""
    rows, readings = [], []
    runs, steps = (4, 2) if options.is_quick else (RUNS, STEPS)
    for width, least in {32: None}.items() if options.is_quick else WIDTHS.items():
        words = ("dataset=ring", f"model.width={width}", f"train.steps={steps}", *EAGER, *JOBLIB)
        with temporary_folder() as folder:
            jobs = [sweep(words, folder / "jobs", f"range({runs})")]
            joined = (*words, "sweep.replicas=always")
            at_once = [sweep(joined, folder / "replicas", f"range({runs})")]
        gain = ratios(jobs, at_once)
        name = f"runs per minute at once over joblib's, ring of width {width}"
        readings.append(Reading(name, gain, least=least))
        minutes = [f"{runs * 60 / median(turn.wall for turn in turns):.1f}" for turns in (jobs, at_once)]
        rows.append([str(width), str(runs), str(steps), spread(gain), *minutes, load(jobs)])
    note = "whole commands, start-up and metrics included; both use two processes"
    head = ("width", "runs", "steps", "gain", "runs a minute by jobs", "at once", "others")
    yield Table("Many small runs at once", head, rows, note, readings)
