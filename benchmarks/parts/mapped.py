"""Images that stay on disk, in a mapped file, against the same ones in memory: speed and memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.clock import load, spread
from benchmarks.contest import EAGER, Options, own_run, ratios, take_turns, temporary_folder
from benchmarks.table import Reading, Table

GIB, SIDE = 2.0, 128
SMALL = 8  # pixels of the files, which the dataset enlarges
LIMITS = {"in memory": 4.0, "mapped, limit 0.25 GiB": 0.25}
GAME = ("model.width=8", "train.batch_size=32", "metric.n=100", "penalty=none")


def write_images(folder: Path, count: int) -> None:
    """Write small colour pictures of noise, each a file of its own."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (SMALL, SMALL, 3), np.uint8)).save(folder / f"{i:06}.png")


def measure(options: Options) -> Iterator[Table]:
    """Yield the table."""
    count = 64 if options.is_quick else round(GIB * 2**30 / (3 * SIDE**2))
    limits = {name: 0.0 if options.is_quick and limit < 1 else limit for name, limit in LIMITS.items()}
    with temporary_folder() as folder, ExitStack() as stack:
        write_images(folder / "images", count)
        side = SMALL * 2 if options.is_quick else SIDE
        words = ("dataset=image_folder", f"dataset.root={folder / 'images'}", f"dataset.resolution={side}")
        players = {
            name: stack.enter_context(
                own_run((*words, *GAME, *EAGER, f"dataset.memory_limit={limit}"), folder / str(i))
            )
            for i, (name, limit) in enumerate(limits.items())
        }
        turns = take_turns(players, options.turns, options.seconds)
        first = turns["in memory"]
        rows = [
            [
                name,
                spread(ratios(first, turns[name])),
                spread([turn.seconds * 1e3 for turn in turns[name]], 1),
                f"{players[name].start.wall:.0f}",
                *(f"{megabytes:.0f}" for megabytes in players[name].resident()),
                f"{players[name].facts['memory']:.0f}",
                load(turns[name]),
            ]
            for name in turns
        ]
    size = f"{count * 3 * SIDE**2 / 2**30:.2f} GiB"
    head = (
        "data",
        "speed over memory",
        "ms a step",
        "first step, s",
        "own MB",
        "mapped MB",
        "peak MB",
        "others",
    )
    note = (
        "own: memory of the process alone, at the end; mapped: pages of files, which the system can take back;\n"
        "peak: the most of both together, decoding included"
    )
    mapped = ratios(first, turns[next(name for name in turns if name != "in memory")])
    readings = [Reading(f"{size} of images mapped over in memory", mapped, least=0.95)]
    yield Table(f"{size} of images, mapped", head, rows, note, readings)
