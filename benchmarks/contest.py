"""Players in processes of their own that take turns, so that a machine that slows down slows all of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.cases import PLUGINS
from benchmarks.clock import Stopwatch, Turn

ROOT = Path(__file__).resolve().parents[1]
# What a worker inherits would decide how fast it is; each gets the defaults of a new shell.
DECIDING = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    "MALLOC_MMAP_THRESHOLD_",
)
LONG_SECONDS = 20  # of a reading so long that filling caches no longer shows in it
EAGER = ("device.compile=false",)


class PlayerError(Exception):
    """A player's process ended; the message holds its last line."""


@dataclass(frozen=True)
class Options:
    """How much is measured.

    Attributes:
        turns: Turns of each player.
        seconds: Of a turn, about.
        is_quick: Whether everything is tiny, to see that it runs.
        data: The folder that holds MNIST/raw, if there is one.
        cases: Names of the only games to play; all of them if it is empty.
        threads: CPU threads of every player; 0 for the default of each.
    """

    turns: int
    seconds: float
    is_quick: bool
    data: str | None
    cases: tuple[str, ...]
    threads: int


def environment(folder: Path, threads: int = 0) -> dict[str, str]:
    """Return the environment of a process that writes its caches and records into a folder."""
    kept = {name: value for name, value in os.environ.items() if name not in DECIDING}
    own = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "STATE", "CONFIG")}
    limit = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    return kept | own | {"PYTHONPATH": str(ROOT)} | limit


def run_words(words: Sequence[str], folder: Path) -> list[str]:
    """Return the command line of an endless run with these words, which writes into a folder."""
    return ["--plugins", str(PLUGINS), "train.steps=1000000", f"run.dir={folder}", *words]


class Discriminator:
    """A worker process, which starts at once; ``wait`` comes before all else.

    Attributes:
        start: The turn from the process's birth to the end of its first step.
        facts: Its last answer: ``cpu``, ``memory`` in MB, ``threads``, and ``parts`` of a run.
    """

    start: Turn
    facts: dict[str, Any]

    def __init__(self, kind: str, words: Sequence[str], folder: Path, threads: int = 0):
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / f"{len(list(folder.glob('*.log')))}.log"
        command = [sys.executable, "-m", "benchmarks.worker", kind, *words]
        self._watch = Stopwatch()
        with self._log.open("w") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment(folder, threads),
                cwd=folder,
            )

    def wait(self) -> None:
        """Wait for the end of its first step. Raises PlayerError when the process ends."""
        self.facts = self._answer()
        self.start = self._watch.stop(1, self.facts["cpu"])

    def play(self, steps: int) -> Turn:
        """Play that many steps, and return the turn without what else a run did. Raises PlayerError at its end."""
        watch, before = Stopwatch(), self.facts["cpu"]
        self._ask(f"play {steps}")
        turn = watch.stop(steps, self.facts["cpu"] - before)
        besides = [call for calls in self.facts.get("parts", {}).values() for call in calls]
        wall, cpu = (sum(call[i] for call in besides) for i in (0, 1))
        return replace(turn, wall=turn.wall - wall, cpu=turn.cpu - cpu)

    def housekeeping(self) -> dict[str, float]:
        """Return the seconds that a log point, an evaluation, a grid of samples and a checkpoint take in a run."""
        readings: list[dict[str, float]] = []
        while not readings or (len(readings) < 2 and sum(readings[0].values()) < LONG_SECONDS):
            self.play(1)
            self._ask("housekeeping")
            readings.append({name: min(calls)[0] for name, calls in self.facts["parts"].items()})
        return {name: min(reading[name] for reading in readings) for name in readings[0]}

    def operations(self) -> float:
        """Return the floating-point operations of one step of a loop by hand."""
        self._ask("flops")
        return float(self.facts["flops"])

    def resident(self) -> tuple[float, float]:
        """Return the memory that the process holds now, its own and of mapped files, in MB; NaN where unknown."""
        status = Path(f"/proc/{self._process.pid}/status")
        if not status.exists():
            return float("nan"), float("nan")
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        own, mapped = (int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))
        return own, mapped

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def _ask(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        self.facts = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            lines = self._log.read_text(errors="replace").split("\n")
            raise PlayerError(
                next((text for text in reversed(lines) if text.strip()), "ended without a word")
            )
        return dict(json.loads(line))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder for the runs and caches of a contest, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix="gantrain-benchmark-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_run(words: Sequence[str], folder: Path, threads: int = 0) -> Iterator[Discriminator]:
    """Start our command with these words, wait for its first step, and end it."""
    limit = [f"device.threads={threads}"] if threads else []
    player = Discriminator("run", [*run_words(words, folder / "run"), *limit], folder)
    try:
        player.wait()
        yield player
    finally:
        player.close()


@contextmanager
def loop_by_hand(kind: str, words: Sequence[str], folder: Path, threads: int) -> Iterator[Discriminator]:
    """Start a tutorial's loop, the lean one, or the multiplication of matrices, and end it; it has yet to be awaited.

    So several of them can start at the same time.
    """
    player = Discriminator(
        kind, [] if kind == "multiply" else ["--plugins", str(PLUGINS), *words], folder, threads
    )
    try:
        yield player
    finally:
        player.close()


def take_turns(players: Mapping[str, Discriminator], turns: int, seconds: float) -> dict[str, list[Turn]]:
    """Let the players play in turn; each plays as many steps as take it about ``seconds``.

    The first turns, of few steps, only show how long a step takes.
    """
    steps = {}
    for name, player in players.items():
        player.play(1)
        trial = player.play(2)
        steps[name] = max(1, round(seconds / trial.seconds))
    taken: dict[str, list[Turn]] = {name: [] for name in players}
    for _ in range(turns):
        for name, player in players.items():
            taken[name].append(player.play(steps[name]))
    return taken


def ratios(others: Sequence[Turn], ours: Sequence[Turn]) -> list[float]:
    """Return in each round how many times as fast we are: seconds of the other over ours, of one step each."""
    return [other.seconds / own.seconds for other, own in zip(others, ours, strict=True)]
