"""A sweep over seeds whose runs are played at once, against the same sweep by two jobs at a time."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.clock import load, median, spread
from benchmarks.contest import EAGER, Options, ratios, temporary_folder
from benchmarks.parts.sweep import JOBLIB, sweep
from benchmarks.table import Reading, Table

RUNS, STEPS = 32, 3000
ALONE = ("metric=none", "train.evaluate_every=0", "train.sample_every=0")  # no metrics, no pictures
# Width, further words, and the least gain.
CASES = ((32, (), 3.0), (32, ALONE, 3.0), (128, (), None))


def measure(options: Options) -> Iterator[Table]:
    """Yield the table."""
    rows, readings = [], []
    runs, steps = (4, 2) if options.is_quick else (RUNS, STEPS)
    for width, own, least in CASES[:1] if options.is_quick else CASES:
        words = ("dataset=ring", f"model.width={width}", f"train.steps={steps}", *own, *EAGER, *JOBLIB)
        with temporary_folder() as folder:
            jobs = [sweep(words, folder / "jobs", f"range({runs})")]
            joined = (*words, "sweep.replicas=always")
            at_once = [sweep(joined, folder / "replicas", f"range({runs})")]
        gain = ratios(jobs, at_once)
        what = "without metrics and pictures" if own else "with metrics and pictures"
        name = f"runs per minute at once over joblib's, ring of width {width} {what}"
        readings.append(Reading(name, gain, least=least))
        minutes = [f"{runs * 60 / median(turn.wall for turn in turns):.1f}" for turns in (jobs, at_once)]
        rows.append([str(width), what, str(runs), str(steps), spread(gain), *minutes, load(jobs)])
    note = "whole commands, start-up included; both use two processes"
    head = ("width", "", "runs", "steps", "gain", "runs a minute by jobs", "at once", "others")
    yield Table("Many small runs at once", head, rows, note, readings)
