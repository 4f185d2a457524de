"""The link to TensorBoard that pins the cards to look at first."""

import itertools
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from gantrain.core.files import read_lines
from gantrain.core.folder_tree import folders_under
from gantrain.core.run_folder import EVENTS, RunFolder
from gantrain.tracking.event_file import read_events

# The tags to pin: the first of each row that a run has.
ROWS = (
    ("divergence/js_refit",),
    ("divergence/js_exact", "divergence/js_density"),
    ("divergence/js", "divergence/js_batch", "divergence/game"),
    ("diversity/modes", "diversity/coverage"),
    ("fidelity/high_quality", "fidelity/gan_test", "fidelity/precision"),
    ("loss/d",),
    ("loss/g",),
)
PICTURES = ("samples/density", "samples/ema")
FIRST_RECORDS = 12  # of an event file; the pictures of step 0 are among them


def runs_under(folder: Path) -> list[Path]:
    """Return the folders at and under ``folder`` that hold event files, a sweep's own only without runs.

    Raises:
        CheckpointError: For too many folders.
    """
    folders = [place for place in folders_under(folder) if any(place.glob(EVENTS))]
    return [run for run in folders if RunFolder(run).metrics_file.is_file()] or folders


def pinned_query(folder: Path, runs: Sequence[Path]) -> str:
    """Return the query of a link that pins the cards to look at first, of the tags that the runs hold.

    Args:
        folder: TensorBoard's ``--logdir``; names of runs are relative to it.
        runs: Folders of runs at or under it.
    """
    cards: list[dict[str, object]] = []
    # A card of images shows a single run: the first with a picture is pinned.
    for run in runs:
        if picture := next((tag for tag in PICTURES if tag in _pictures(run)), None):
            run_id = f"defaultExperimentId/{run.relative_to(folder).as_posix()}"
            cards.append({"plugin": "images", "tag": picture, "runId": run_id, "sample": 0})
            break
    # A card of scalars shows every run.
    scalars = set().union(*map(_scalars, runs))
    rows = [next(tag for tag in row if tag in scalars) for row in ROWS if scalars & set(row)]
    cards[:0] = [{"plugin": "scalars", "tag": tag} for tag in rows[:1]]
    cards += [{"plugin": "scalars", "tag": tag} for tag in rows[1:]]
    query = f"pinnedCards={quote(json.dumps(cards, separators=(',', ':')))}&" if cards else ""
    # The tabs that are older than TIME SERIES read their smoothing from the fragment.
    return f"?{query}smoothing=0#timeseries&_smoothingWeight=0"


def _scalars(run: Path) -> set[str]:
    # A pattern suffices, since only the tags are needed.
    with suppress(OSError):
        lines = read_lines(RunFolder(run).metrics_file, pieces=2)
        return {tag.decode() for line in lines for tag in re.findall(rb'"([a-z]+/\w+)":', line)}
    return set()


def _pictures(run: Path) -> set[str]:
    files = [path for path in RunFolder(run).event_files if path.is_file()]  # a pipe would wait for a writer
    first = itertools.islice(read_events(files[-1], is_verified=False), FIRST_RECORDS) if files else ()
    return {value.tag for event in first for value in event.summary.value if value.HasField("image")}
