"""What a run would take, found by building it and playing a few steps that are thrown away."""

from __future__ import annotations

import logging
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gantrain.config.options import ENDLESS, Config, Train
from gantrain.core.random import stream
from gantrain.core.system import mute_logging
from gantrain.datasets.base import Data
from gantrain.tracking.tracker import Tracker
from gantrain.training.batches import Batches, visible_split
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.device import Runtime
from gantrain.training.dry_run.layers import Layer, layers
from gantrain.training.early_stop import held_out_batch
from gantrain.training.housekeeping import Housekeeping, Session
from gantrain.training.loop import train
from gantrain.training.run import transfer
from gantrain.training.state import TrainState

LEAST = 3  # steps that are timed, however slow
LONG = 2.0  # seconds for which steps are timed, and beyond which metrics are not read a second time


@dataclass(frozen=True)
class Work:
    """What a run does again and again beside training.

    Attributes:
        what: In a word or two.
        times: How often the run does it.
        seconds: What it takes in all.
    """

    what: str
    times: int
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """What was found.

    Attributes:
        G: The generator's layers.
        D: The discriminator's.
        steps: How long the run is, or as far as ``train.seconds`` will bring it.
        images: Samples of data that it sees.
        pace: Seconds that a step takes, on the mean.
        start: Seconds from the data to the first step.
        work: What it does beside training.
        memory: The peak, in bytes: of the process, or of what torch holds on a GPU.
        checkpoint: Bytes of a checkpoint.
    """

    G: list[Layer]
    D: list[Layer]
    steps: int
    images: int
    pace: float
    start: float
    work: list[Work]
    memory: int
    checkpoint: int

    @property
    def training(self) -> float:
        """Seconds of training."""
        return self.steps * self.pace

    @property
    def seconds(self) -> float:
        """Seconds from the loaded data to the result."""
        return self.start + self.training + sum(work.seconds for work in self.work)


def foresee(config: Config, data: Data, runtime: Runtime, long: float) -> Forecast:
    """Build the run, time its parts in a folder that does not stay, and return what the whole would take.

    Args:
        config: The run.
        data: What ``prepare`` gave for it.
        runtime: Where it would be trained.
        long: Seconds for which steps are timed; at least three are.

    Raises:
        Diverged: When its first steps do.
        CheckpointError: When ``train.init_from`` does not fit.
    """
    # The trial goes on for as long as it must, whatever the run's own budget is.
    trial = replace(config, train=replace(config.train, steps=ENDLESS, images=None, seconds=long))
    if runtime.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(runtime.device)
    began = time.perf_counter()
    state = TrainState.create(config, data.spec, runtime)
    if config.train.init_from:
        transfer(state, load_checkpoint(config.train.init_from))
    built = time.perf_counter() - began
    G, D = _layers(config, data, runtime, state)
    # What is said of a run that is thrown away would be read as said of the run.
    with tempfile.TemporaryDirectory(prefix="gantrain-") as name, mute_logging(logging.CRITICAL):
        folder = Path(name)
        tracker = Tracker(folder)
        keeper = Housekeeping(folder, trial, data, runtime, tracker, state, Session(bar=False))
        try:
            start = built + _seconds(lambda: keeper.first(state))
            pace, seen = _pace(trial, data, runtime, state, keeper)
            steps = config.train.steps if config.train.seconds is None else round(config.train.seconds / pace)
            work = _work(config.train, max(steps, 1), keeper, state)
        finally:
            tracker.close()
        size = sum(path.stat().st_size for path in folder.glob("checkpoints/*/*"))
    images = round(max(steps, 1) * seen * config.train.batch_size)
    return Forecast(G, D, max(steps, 1), images, pace, start, work, _memory(runtime), size)


def _layers(
    config: Config, data: Data, runtime: Runtime, state: TrainState
) -> tuple[list[Layer], list[Layer]]:
    """Return the layers of G and D, as a batch of the run goes through them."""
    n = config.train.batch_size
    _, y = visible_split(data.train, config).take(torch.arange(n), runtime.device)
    z = state.G.latents(n, stream(config.seed, 0, "d0")).to(runtime.device)
    made: list[torch.Tensor] = []
    with torch.no_grad(), runtime.autocast():
        G = layers(state.G, lambda: made.append(state.G(z, y)))
        return G, layers(state.D, lambda: state.D(made[0], y))


def _pace(
    trial: Config, data: Data, runtime: Runtime, state: TrainState, keeper: Housekeeping
) -> tuple[float, float]:
    """Play a few steps; return the seconds of a step and the batches that it sees, both on the mean.

    A step on which a lazy penalty is paid takes longer than the others. Each kind has a mean of its own, without its
    first step, which pays for what is made once.
    """
    laps: dict[bool, list[float]] = {True: [], False: []}
    clock = [time.perf_counter()]

    def pays(step: int) -> bool:
        return trial.penalty.for_step(step, trial.optimizer.horizon) is not None

    def lap(state: TrainState) -> None:
        clock.append(time.perf_counter())
        laps[pays(state.step - 1)].append(clock[-1] - clock[-2])
        enough = len(clock) > LEAST + 1
        state.seconds = clock[-1] - clock[1] if enough else 0.0

    held_out = None if trial.train.d_gain is None else held_out_batch(data, trial, runtime)
    batches = Batches(visible_split(data.train, trial), trial.train.batch_size, trial.seed, runtime.device)
    train(state, batches, trial, runtime, keeper.means.add, lap, held_out)
    means = {kind: sum(found[1:]) / len(found[1:]) for kind, found in laps.items() if len(found) > 1}
    share = sum(map(pays, range(1000))) / 1000
    first = {kind: found[0] for kind, found in laps.items() if found}
    taken = first | means
    pace = sum(seconds * (share if kind else 1 - share) for kind, seconds in taken.items())
    return pace / sum(share if kind else 1 - share for kind in taken), state.batches / state.step


def _work(options: Train, steps: int, keeper: Housekeeping, state: TrainState) -> list[Work]:
    """Do once or twice what the run does beside training, and return what all of it takes."""

    def times(every: int) -> int:
        return -(-steps // every) if every else 0

    evaluations = max(times(options.evaluate_every), 1) if keeper.metrics else 0
    logs, pictures = times(options.log_every), times(options.sample_every)
    saves = max(times(options.checkpoint_every), 1)
    log = _seconds(lambda: keeper.log_scalars(state, live=True)) if logs else 0.0
    reading = _readings(evaluations, keeper, state) if evaluations else 0.0
    picture = _seconds(lambda: keeper.gallery.sample(state, {})) if pictures else 0.0
    save = _seconds(lambda: keeper.save(state))
    return [
        Work("scalars", logs, logs * log),
        Work("metrics", evaluations, reading),
        Work("pictures", pictures, pictures * picture),
        Work("checkpoints", saves, saves * save),
    ]


def _readings(times: int, keeper: Housekeeping, state: TrainState) -> float:
    """Return the seconds of all evaluations: the first loads what it needs, the last reads the floors too."""
    state.seconds = 0.0
    first = _seconds(lambda: keeper.read_suite(state))
    if first > LONG:
        floors = first if any(metric.floored for metric in keeper.metrics) else 0.0
        return times * first + floors
    again = _seconds(lambda: keeper.read_suite(state))
    state.seconds = float("inf")
    last = _seconds(lambda: keeper.read_suite(state))
    return max(first - again, 0.0) + (times - 1) * again + last


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _memory(runtime: Runtime) -> int:
    if runtime.device.type == "cuda":
        return torch.cuda.max_memory_allocated(runtime.device)
    if runtime.device.type == "mps":
        return torch.mps.driver_allocated_memory()
    # Kilobytes, but bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
