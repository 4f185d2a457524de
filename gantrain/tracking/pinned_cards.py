"""The link to TensorBoard that pins the cards to look at first."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from gantrain.core.run_folder import EVENTS, RunFolder
from gantrain.tracking.event_file import read_events

# The tags to pin: of each row the first that the runs have.
ROWS = (
    ("divergence/js_refit",),
    ("divergence/js_exact", "divergence/js_density"),
    ("divergence/js", "divergence/js_batch", "divergence/game"),
    ("diversity/modes", "diversity/coverage"),
    ("fidelity/high_quality", "fidelity/class_accuracy", "fidelity/precision"),
    ("loss/d",),
    ("loss/g",),
)
PICTURES = ("samples/density", "samples/ema")
FIRST_RECORDS = 12  # of an event file, among which are the first pictures


def runs_under(folder: Path) -> list[Path]:
    """Return the folders at and under one that hold event files, sorted, without those of a sweep's summary."""
    found = {path.parent for path in folder.rglob(EVENTS)}
    return sorted(run for run in found if RunFolder(run).metrics_file.is_file()) or sorted(found)


def pinned_query(folder: Path, runs: Sequence[Path]) -> str:
    """Return the query of a link that pins the first cards to look at, of the tags that the runs hold.

    Args:
        folder: What TensorBoard is started on; run names begin below it.
        runs: Folders of runs at or under it.
    """
    scalars = set().union(*map(_scalars, runs))
    cards: list[dict[str, object]] = [
        {"plugin": "scalars", "tag": next(tag for tag in row if tag in scalars)}
        for row in ROWS
        if scalars & set(row)
    ]
    for run in runs:
        if picture := next((tag for tag in PICTURES if tag in _pictures(run)), None):
            name = run.relative_to(folder).as_posix()
            # A card of pictures is one run's.
            card = {"plugin": "images", "tag": picture, "runId": f"defaultExperimentId/{name}", "sample": 0}
            cards.append(card)
            break
    query = f"pinnedCards={quote(json.dumps(cards, separators=(',', ':')))}&" if cards else ""
    return f"?{query}smoothing=0#timeseries"


def _scalars(run: Path) -> set[str]:
    try:
        text = RunFolder(run).metrics_file.read_bytes()
    except OSError:
        return set()
    return {tag.decode() for tag in set(re.findall(rb'"([a-z]+/\w+)":', text))}


def _pictures(run: Path) -> set[str]:
    newest = RunFolder(run).event_files[-1]
    first = itertools.islice(read_events(newest), FIRST_RECORDS)
    return {value.tag for event in first for value in event.summary.value if value.HasField("image")}
