"""``gantrain tensorboard [DIR]``."""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from gantrain.core.run_folder import EVENTS, RunFolder
from gantrain.errors import CheckpointError, ConfigError
from gantrain.tracking.event_file import read_events

USUAL_PORT = 6006
# What is pinned, where runs have it: one tag of each row, the first that there is.
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
OPENING = 12  # records of an event file among which are the first pictures
QUIET = ("--inspect", "--version_tb", "--helpfull")  # TensorBoard prints and leaves


def tensorboard(argv: list[str]) -> int:
    """Start TensorBoard on 127.0.0.1 for a folder, keeping the images of every step, and say where to look.

    The link pins the cards that a reader wants first, of those that the runs have. TensorBoard's own flags win.

    Raises:
        CheckpointError: When there is no such folder, or nothing in it that TensorBoard shows.
        ConfigError: For words that are neither the folder nor flags.
    """
    named = bool(argv) and not argv[0].startswith("-")
    flags = argv[named:]  # TensorBoard's own, some of which take a value
    if flags and not flags[0].startswith("-"):
        raise ConfigError(
            "tensorboard", f"takes one folder, got {' '.join(argv)}", "give the folder above them"
        )
    folder = Path(argv[0] if named else "outputs").expanduser()
    if not folder.is_dir():
        raise CheckpointError(
            folder, "there is no such folder", "train first, or give the folder of your runs"
        )
    runs = runs_under(folder)
    if not runs:
        what = "holds no runs: there is no event file under it"
        raise CheckpointError(folder, what, "train first, or give the folder of your runs")
    words = ["--logdir", str(folder), "--samples_per_plugin", "images=500"]
    if "--bind_all" not in flags:
        words += ["--host", "127.0.0.1"]
    port = _value(flags, "--port")
    if port is None:
        port = str(free_port())
        words += ["--port", port]
    if not any(word in QUIET for word in flags):
        host, prefix = _value(flags, "--host") or "127.0.0.1", _value(flags, "--path_prefix") or ""
        print(f"http://{f'[{host}]' if ':' in host else host}:{port}{prefix}/{pinned(folder, runs)}")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "tensorboard.main", *words, *flags])


def runs_under(folder: Path) -> list[Path]:
    """Return the folders at and under one that hold event files, sorted, but not the notes of a sweep."""
    found = {path.parent for path in folder.rglob(EVENTS)}
    return sorted(run for run in found if RunFolder(run).metrics_file.is_file()) or sorted(found)


def free_port() -> int:
    """Return TensorBoard's usual port on 127.0.0.1, or the next one that is free."""
    for port in itertools.chain(range(USUAL_PORT, USUAL_PORT + 20), [0]):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConfigError("tensorboard", "no port of this machine is free", "give one with --port")


def pinned(folder: Path, runs: Sequence[Path]) -> str:
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


def _value(flags: Iterable[str], name: str) -> str | None:
    """Return what a flag is given, as ``--name=value`` or ``--name value``, the last time it is."""
    words, found = list(flags), None
    for word, after in itertools.zip_longest(words, words[1:], fillvalue=""):
        if word == name:
            found = after
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found


def _scalars(run: Path) -> set[str]:
    try:
        text = RunFolder(run).metrics_file.read_bytes()
    except OSError:
        return set()
    return {tag.decode() for tag in set(re.findall(rb'"([a-z]+/\w+)":', text))}


def _pictures(run: Path) -> set[str]:
    newest = RunFolder(run).event_files[-1]
    opening = itertools.islice(read_events(newest), OPENING)
    return {value.tag for event in opening for value in event.summary.value if value.HasField("image")}
