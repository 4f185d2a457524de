"""Estimate what a run costs, by building it and training a few steps that are thrown away."""

import logging
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

from gantrain.config.options import ENDLESS, Config, Train
from gantrain.core.random import stream
from gantrain.core.system import mute_logging
from gantrain.datasets.base import Data
from gantrain.tracking.tracker import Tracker
from gantrain.training.batches import training_batches, visible_split
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.dry_run.layers import Layer, layers
from gantrain.training.early_stop import held_out_batch
from gantrain.training.housekeeping import Housekeeping
from gantrain.training.loop import train
from gantrain.training.restore import init_from
from gantrain.training.runtime import Runtime
from gantrain.training.session import Session
from gantrain.training.state import TrainState
from gantrain.training.stop_signal import StopSignal
from gantrain.training.threads import set_threads

MIN_STEPS = 3  # to time, however slow they are
MAX_SECONDS = 2.0  # of timed steps; metrics that take longer are computed only once


@dataclass(frozen=True)
class Chore:
    """What a run does repeatedly besides training.

    Attributes:
        what: In a word or two.
        times: How often the run does it.
        seconds: In total.
    """

    what: str
    times: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """What a run costs.

    Attributes:
        G: The generator's layers.
        D: The discriminator's layers.
        steps: Length of the run; where a time ends it, at the measured speed.
        images: Samples of data that it trains on.
        step_seconds: Mean seconds of a step.
        start: Seconds from the loaded data to the first step.
        chores: What it does besides training.
        memory: Peak in bytes: of the process, or of torch on a GPU.
        checkpoint: Bytes of a checkpoint.
    """

    G: list[Layer]
    D: list[Layer]
    steps: int
    images: int
    step_seconds: float
    start: float
    chores: list[Chore]
    memory: int
    checkpoint: int

    @property
    def training(self) -> float:
        """Seconds of training."""
        return self.steps * self.step_seconds

    @property
    def seconds(self) -> float:
        """Seconds from the loaded data to the result."""
        return self.start + self.training + sum(chore.seconds for chore in self.chores)


def estimate(config: Config, data: Data, runtime: Runtime, max_seconds: float) -> Estimate:
    """Build the run, time its parts in a temporary folder, and return what the whole run costs.

    Steps are timed for ``max_seconds``, but at least three.

    Raises:
        Diverged: When its first steps do.
        CheckpointError: When ``train.init_from`` does not match.
    """
    # A trial of the run on a budget of seconds.
    trial = replace(
        config, train=replace(config.train, steps=ENDLESS, images=None, seconds=max_seconds, minutes=None)
    )
    if runtime.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(runtime.device)
    began = time.perf_counter()
    state = TrainState.create(config, data.spec, runtime)
    set_threads(config, data, state)
    if config.train.init_from:
        init_from(state, load_checkpoint(config.train.init_from))
    built = time.perf_counter() - began
    G, D = _layers(config, data, runtime, state)
    # Muted: messages about the trial would be taken for messages about the run.
    with tempfile.TemporaryDirectory(prefix="gantrain-") as name, mute_logging(logging.CRITICAL):
        folder = Path(name)
        tracker = Tracker(folder)
        housekeeping = Housekeeping(
            folder, trial, data, runtime, tracker, state, Session(bar=False), StopSignal(folder)
        )
        try:
            start = built + _seconds(lambda: housekeeping.begin(state))
            step_seconds, batches = _time_steps(trial, data, runtime, state, housekeeping)
            seconds = config.train.time
            steps = config.train.steps if seconds is None else max(round(seconds / step_seconds), 1)
            chores = _time_chores(config.train, steps, housekeeping, state)
        finally:
            tracker.close()
        size = sum(path.stat().st_size for path in folder.glob("checkpoints/*/*"))
    images = round(steps * batches * config.train.batch_size)
    return Estimate(G, D, steps, images, step_seconds, start, chores, _peak_memory(runtime), size)


def _layers(config: Config, data: Data, runtime: Runtime, state: TrainState) -> tuple[list[Layer], ...]:
    """Return the layers of G and D with their output shapes for one batch of the run."""
    n = config.train.batch_size
    _, y = visible_split(data.train, config).take(torch.arange(n), runtime.device)
    z = state.G.latents(n, stream(config.seed, 0, "d0")).to(runtime.device)
    fakes: list[torch.Tensor] = []
    with torch.no_grad(), runtime.autocast():
        G = layers(state.G, lambda: fakes.append(state.G(z, y)))
        return G, layers(state.D, lambda: state.D(fakes[0], y))


def _time_steps(
    trial: Config, data: Data, runtime: Runtime, state: TrainState, housekeeping: Housekeeping
) -> tuple[float, float]:
    """Train a few steps; return the mean seconds and the mean number of batches of a step."""
    # Seconds of each step, by whether it had a (lazy) penalty.
    laps: dict[bool, list[float]] = {True: [], False: []}
    clock = [time.perf_counter()]

    def has_penalty(step: int) -> bool:
        return trial.penalty.weight(step) is not None

    def record_lap(state: TrainState) -> None:
        runtime.wait()
        clock.append(time.perf_counter())
        laps[has_penalty(state.step - 1)].append(clock[-1] - clock[-2])
        # The budget counts from the end of the first step, and only once there are enough steps.
        state.seconds = clock[-1] - clock[1] if len(clock) > MIN_STEPS + 1 else 0.0

    held_out = None if trial.train.d_gain is None else held_out_batch(data, trial, runtime)
    batches = training_batches(data, trial, runtime.device)
    train(state, batches, trial, runtime, housekeeping.means.add, record_lap, held_out)
    # The mean of each kind without its first, slower step; then of both, by how often they occur.
    means = {kind: fmean(times[1:] or times) for kind, times in laps.items() if times}
    share = fmean(map(has_penalty, range(1000)))
    mean = fmean(means.values(), [share if kind else 1 - share for kind in means])
    return mean, state.batches / state.step


def _time_chores(options: Train, steps: int, housekeeping: Housekeeping, state: TrainState) -> list[Chore]:
    """Do once or twice what the run does besides training, and return what all of it costs."""

    def times(every: int) -> int:
        return -(-steps // every) if every else 0  # rounded up: the last step counts in any case

    def chore(what: str, count: int, action: Callable[[], object]) -> Chore:
        return Chore(what, count, count * _seconds(action) if count else 0.0)

    evaluations = max(times(options.evaluate_every), 1) if housekeeping.metrics else 0
    return [
        chore("scalars", times(options.log_every), lambda: housekeeping.log_scalars(state, live=True)),
        Chore("metrics", evaluations, _time_evaluations(evaluations, housekeeping, state)),
        chore("pictures", times(options.sample_every), lambda: housekeeping.gallery.sample(state, {})),
        chore("checkpoints", max(times(options.checkpoint_every), 1), lambda: housekeeping.save(state)),
    ]


def _time_evaluations(times: int, housekeeping: Housekeeping, state: TrainState) -> float:
    """Return the seconds of all evaluations: the first loads what it needs, the last computes the floors too."""
    if not times:
        return 0.0
    state.seconds = 0.0
    first = _seconds(lambda: housekeeping.compute_metrics(state))
    if first > MAX_SECONDS:  # too slow for another; floors take about as long
        floors = first if any(metric.has_floor for metric in housekeeping.metrics) else 0.0
        return times * first + floors
    again = _seconds(lambda: housekeeping.compute_metrics(state))
    state.seconds = float("inf")  # the budget is used up, so floors are computed
    last = _seconds(lambda: housekeeping.compute_metrics(state))
    return max(first - again, 0.0) + (times - 1) * again + last


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _peak_memory(runtime: Runtime) -> int:
    if runtime.device.type == "cuda":
        return torch.cuda.max_memory_allocated(runtime.device)
    if runtime.device.type == "mps":
        return torch.mps.driver_allocated_memory()
    # In kilobytes, on macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
