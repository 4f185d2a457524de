"""How a step's time, memory and operations grow with batch, resolution and width, and how its time falls with ranks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.cases import PLUGINS, images
from benchmarks.clock import load, median, spread
from benchmarks.contest import (
    EAGER,
    Options,
    PlayerError,
    environment,
    loop_by_hand,
    own_run,
    take_turns,
    temporary_folder,
)
from benchmarks.table import Reading, Table

BASE = {"batch": 64, "side": 32, "width": 16}
AXES = {"batch": (16, 64, 256), "side": (16, 32, 64), "width": (8, 16, 32)}
QUICK_BASE = {"batch": 8, "side": 16, "width": 4}
QUICK_AXES = {"batch": (4, 8)}
RANKS = (1, 2, 4)
GAMES = {"digits": ("dataset=digits",), "mnist_r1": ("penalty=r1_strong", *images(28))}
# Images a second that two ranks of one thread reach, over one rank of one thread with the same global batch.
LEAST = {"digits": 1.3, "mnist_r1": 1.8}


def words_of(batch: int, side: int, width: int, data: str | None) -> tuple[str, ...]:
    """Return the words of a convolutional game of colour images."""
    sizes = (f"train.batch_size={batch}", "model=dcgan", f"model.width={width}")
    return (*images(side, 3, data), *sizes, "metric=none", *EAGER)


def growth(options: Options, axis: str, values: tuple[int, ...], base: dict[str, int]) -> Table:
    """Return how a step of one thread grows along an axis; the games of the axis take turns."""
    games = {str(value): words_of(**(base | {axis: value}), data=options.data) for value in values}
    head = (axis, "time of a step", "operations", "memory, MB", "CPU-ms", "others")
    shape = ", ".join(f"{name} {size}" for name, size in base.items())
    note = (
        f"of a step of {shape}: CPU-seconds on one thread, and the memory of the process but for mapped files"
    )
    table = Table(f"Growth with {axis}", head, note=note)
    with temporary_folder() as folder, ExitStack() as stack:
        players = {}
        for value, words in games.items():
            players[value] = stack.enter_context(own_run(words, folder / value, threads=1))
        turns = take_turns(players, options.turns, options.seconds)
        memory = {value: player.resident()[0] for value, player in players.items()}
    operations = {}
    for value, words in games.items():
        with temporary_folder() as folder, loop_by_hand("lean", words, folder, threads=1) as loop:
            loop.wait()
            operations[value] = loop.operations()
    one = str(base[axis])
    for value, own in turns.items():
        slower = [turn.cpu_seconds / first.cpu_seconds for turn, first in zip(own, turns[one], strict=True)]
        more, seconds = operations[value] / operations[one], median(turn.cpu_seconds for turn in own)
        figures = [spread(slower), f"{more:.2f}", f"{memory[value]:.0f}", f"{1e3 * seconds:.1f}"]
        table.rows.append([value, *figures, load(own)])
    return table


def images_per_second(
    words: tuple[str, ...], ranks: int, reduce: str, seconds: float, threads: int = 1
) -> float:
    """Return the speed that a run of several ranks logs. Raises PlayerError when it fails."""
    with temporary_folder() as folder:
        world = (f"device.processes={ranks}", f"device.reduce={reduce}", f"device.threads={threads}")
        budget = (f"train.seconds={seconds:g}", "train.log_every=5", "metric=none", "train.sample_every=0")
        line = ("--plugins", str(PLUGINS), *words, *world, *budget, *EAGER, f"run.dir={folder / 'run'}")
        done = subprocess.run(
            [sys.executable, "-m", "gantrain", *line],
            env=environment(folder, threads),
            capture_output=True,
            text=True,
            cwd=folder,
        )
        if done.returncode:
            raise PlayerError((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
        return median(logged_speeds(folder / "run")[1:])


def logged_speeds(run: Path) -> list[float]:
    """Return the images a second of each log point of a run."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        values["speed/images_per_second"]
        for values in map(json.loads, lines)
        if "speed/images_per_second" in values
    ]


def ranks(options: Options) -> Table:
    """Return how the speed grows with ranks, one thread each, at the same global batch."""
    gains = (*(f"{n} ranks over 1" for n in RANKS[1:]), "2 ranks over 1 of 2 threads")
    note = "one thread and one shard a rank, the same global batch; as logged by runs that take turns"
    table = Table("Ranks", ("game", "reduce", *gains, "images/s of 1"), note=note)
    seconds = max(4.0, 4 * options.seconds)
    for game, words in {"digits": GAMES["digits"]}.items() if options.is_quick else GAMES.items():
        for reduce in ("exact", "fast"):
            speeds: dict[str, list[float]] = {}
            for _ in range(options.turns):
                for n, threads in (*((n, 1) for n in RANKS), (1, 2)):
                    speed = images_per_second(words, n, reduce, seconds, threads)
                    speeds.setdefault(f"{n} of {threads}", []).append(speed)
            pairs = (("2 of 1", "1 of 1"), ("4 of 1", "1 of 1"), ("2 of 1", "1 of 2"))
            found = [ratios_of(speeds[own], speeds[other]) for own, other in pairs]
            table.rows.append([game, reduce, *map(spread, found), f"{median(speeds['1 of 1']):.0f}"])
            table.readings.append(Reading(f"{game} on 2 ranks over 1, {reduce}", found[0], least=LEAST[game]))
    return table


def ratios_of(own: list[float], others: list[float]) -> list[float]:
    """Return how many times as high each speed is as the other of its turn."""
    return [speed / other for speed, other in zip(own, others, strict=True)]


def measure(options: Options) -> Iterator[Table]:
    """Yield the tables."""
    base, axes = (QUICK_BASE, QUICK_AXES) if options.is_quick else (BASE, AXES)
    for axis, values in axes.items():
        yield growth(options, axis, values, base)
    yield ranks(options)
