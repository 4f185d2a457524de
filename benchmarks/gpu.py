"""``python -m benchmarks.gpu``: how fast a GPU trains, and how near that is to what the card itself can do."""

from __future__ import annotations

import argparse
import functools
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch

from benchmarks.cases import PLUGINS, QUICK, all_cases
from benchmarks.ceilings import Ceilings, Cost, wait_for
from benchmarks.table import Table
from gantrain.config.compose import compose
from gantrain.config.device import Device
from gantrain.config.options import Config
from gantrain.config.resolve import plain_data, resolve
from gantrain.core.plugins import use
from gantrain.datasets.base import Data
from gantrain.tracking.tracker import Means
from gantrain.training.batches import Batches, visible_split
from gantrain.training.loop import train
from gantrain.training.play import Play
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.steps import step_of

CASES = ("ring", "digits", "mnist_r1", "dcgan_64", "r3gan_32", "stylegan2_64", "stylegan2_ada_64")
PRECISIONS = ("float32", "tf32", "bfloat16")
PLAYS = ("eager", "compiled")  # on CUDA the latter is replayed as a graph
ROW_SECONDS, ALL_SECONDS, WINDOW_SECONDS, WINDOWS = 15, 420, 0.8, 3
WARM_UP, PROFILED = 5, 10  # steps
IMAGES = ("dataset.n=200",)
NARROW = ("model.width=4", "model.max_width=8", "model.z_dim=8")
TINY = {
    "ring": QUICK,
    "digits": QUICK,
    "mnist_r1": (*QUICK, *IMAGES),
    "dcgan_64": (*QUICK, *IMAGES),
    "r3gan_32": (*QUICK, *IMAGES, "model.width=4", "model.group_width=4", "model.blocks=1"),
    "stylegan2_64": (*QUICK, *IMAGES, *NARROW),
    "stylegan2_ada_64": (*QUICK, *IMAGES, *NARROW),
}
HEAD = ("game", "precision", "play", "images/s", "ms a step", "idle", "of matrix rate", "of bandwidth")
NOTE = """idle: share of a step's time in which no kernel runs, by torch's profiler.
of matrix rate: operations of products and convolutions in an eager step, over time and the rate of a large product.
of bandwidth: bytes that the operations of an eager step read and write, over time and the rate of a large copy.
A compiled step moves fewer bytes than an eager one."""


class TooSlow(BaseException):
    """A row took more than its seconds; no Exception, for which the compiler would take it as a failure of its own."""


class Clock:
    """Called after each step of ``train``: warms up, counts and profiles where that is due, then times windows.

    Attributes:
        step_seconds: Median over the windows.
        busy_seconds: In which a kernel ran, a step; None without a profile.
        cost: Of an eager step; None if it was not counted.
    """

    def __init__(self, config: Config, device: torch.device, is_counted: bool, is_quick: bool):
        self.config, self.device, self.is_quick = config, device, is_quick
        self._windows: list[float] = []
        self._marks: Iterator[int] = self._phases(is_counted)
        self._next = next(self._marks)
        self.busy_seconds: float | None = None
        self.cost: Cost | None = None

    @property
    def step_seconds(self) -> float:
        return statistics.median(self._windows)

    def __call__(self, state: TrainState) -> None:
        if state.step == self._next:
            count = next(self._marks, 0)
            self._next = state.step + count
            if not count:
                self.config.train.steps = state.step  # which ends the run

    def _phases(self, is_counted: bool) -> Iterator[int]:
        """Yield how many steps each phase has."""
        yield 2 if self.is_quick else WARM_UP
        if is_counted:
            with Cost() as self.cost:
                yield 1
        if self.device.type == "cuda":
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
                yield PROFILED
                wait_for(self.device)
            kernels = sum(event.self_device_time_total for event in profile.key_averages())  # microseconds
            self.busy_seconds = kernels / 1e6 / PROFILED
        steps = 2 if self.is_quick else 10
        for is_timed in (False, *[True] * WINDOWS):
            wait_for(self.device)
            began = time.perf_counter()
            yield steps
            wait_for(self.device)
            taken = (time.perf_counter() - began) / steps
            if is_timed:
                self._windows.append(taken)
            elif not self.is_quick:  # the first window says how long the others are
                steps = max(round(WINDOW_SECONDS / taken), 10)


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TooSlow inside the block after so many seconds."""

    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@functools.cache
def game(words: tuple[str, ...]) -> tuple[Config, Data]:
    """Return a config and its data, which rows of the same game share."""
    config = resolve(plain_data(compose(list(words))))
    return config, config.dataset.load(config.seed)


def measure(
    words: tuple[str, ...], device: Device, play: str, is_counted: bool, is_quick: bool
) -> tuple[Clock, int]:
    """Train a game until the clock has its figures; return it and the training images of a step."""
    config, data = game(words)
    config = replace(config, device=device, train=replace(config.train, steps=10**9))
    runtime = Runtime(device)
    with runtime.settings():
        state = TrainState.create(config, data.spec, runtime)
        batches = Batches(
            visible_split(data.train, config), config.train.batch_size, config.seed, runtime.device
        )
        clock = Clock(config, runtime.device, is_counted, is_quick)
        runtime.is_compiled = play == "compiled"
        advance = step_of(state, Play.create(config, runtime), runtime)
        train(state, batches, config, runtime, Means().add, clock, advance=advance)
    if runtime.compile_failure:
        raise RuntimeError(runtime.compile_failure)
    return clock, config.train.images_per_step(config.objective.has_game)


def rows(options: argparse.Namespace, device: torch.device, ceilings: Ceilings) -> Iterator[list[str]]:
    """Yield the rows of the table, those that are measured soonest first; one that fails says why."""
    began, costs = time.perf_counter(), dict[str, Cost]()
    for play in options.play:
        for case in options.case:
            for precision in options.precision:
                head = [case, precision, play]
                left = int(options.seconds - (time.perf_counter() - began))
                if left < 2:
                    yield [*head, f"left out: {options.seconds} s are over"]
                    continue
                words = (*all_cases()[case].words, *(TINY[case] if options.quick else ()))
                game(words)
                place = Device(kind=device.type, precision=precision)
                try:
                    with time_limit(min(options.row, left)):
                        clock, images = measure(
                            words, place, play, case not in costs and play == "eager", options.quick
                        )
                except TooSlow:
                    yield [*head, f"not done in {min(options.row, left)} s"]
                    continue
                except RuntimeError as error:
                    yield [*head, " ".join(str(error).split())[:60]]
                    continue
                if clock.cost:
                    costs[case] = clock.cost
                yield [*head, *figures(clock, images, costs.get(case), ceilings, precision)]


def figures(clock: Clock, images: int, cost: Cost | None, ceilings: Ceilings, precision: str) -> list[str]:
    """Return the figures of a row as text."""
    seconds = clock.step_seconds
    idle = "-" if clock.busy_seconds is None else f"{max(0.0, 1 - clock.busy_seconds / seconds):.0%}"
    shares = ["-", "-"]
    if cost:
        shares = [
            f"{cost.flop / seconds / ceilings.flop[precision]:.1%}",
            f"{cost.moved / seconds / ceilings.bandwidth:.1%}",
        ]
    return [f"{images / seconds:,.0f}", f"{1e3 * seconds:.3f}", idle, *shares]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 2 where there is no such device."""
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu only tries the code")
    parser.add_argument("--case", action="append", choices=CASES, help="only this game; again for several")
    parser.add_argument("--precision", action="append", choices=PRECISIONS, help="only this precision")
    parser.add_argument("--play", action="append", choices=PLAYS, help="only this kind of play")
    parser.add_argument("--seconds", type=int, default=ALL_SECONDS, help="for all rows, 420 by default")
    parser.add_argument("--row", type=int, default=ROW_SECONDS, help="seconds for one row, 15 by default")
    parser.add_argument("--quick", action="store_true", help="a few tiny steps: figures mean nothing")
    parser.add_argument("--markdown", action="store_true", help="print a table for benchmarks/README.md")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "benchmarks.gpu: there is no CUDA device; python -m benchmarks measures this machine",
            file=sys.stderr,
        )
        return 2
    is_cpu = options.device == "cpu"
    options.case = options.case or CASES
    options.play = options.play or (PLAYS[:1] if is_cpu else PLAYS)
    options.precision = options.precision or (("float32", "bfloat16") if is_cpu else PRECISIONS)
    device = torch.device(options.device, *([] if is_cpu else [0]))
    use([str(PLUGINS)])
    ceilings = Ceilings.of(device, options.precision, options.quick)
    name = "CPU" if is_cpu else torch.cuda.get_device_name(device)
    rates = ", ".join(f"{rate / 1e12:.3g} TFLOP/s {precision}" for precision, rate in ceilings.flop.items())
    print(
        f"{name}, torch {torch.__version__}: copies {ceilings.bandwidth / 1e9:,.0f} GB/s; multiplies {rates}\n"
    )
    table = Table("Training on a GPU", HEAD, note=NOTE)
    for row in rows(options, device, ceilings):
        table.rows.append(row + [""] * (len(HEAD) - len(row)))
        print("  ".join(row), file=sys.stderr, flush=True)  # as they come, since a later row may take long
    print(table.text(options.markdown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
