"""Estimate what a run costs, by building it and training a few steps that are thrown away."""

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
from gantrain.training.restore import init_from
from gantrain.training.state import TrainState

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
        steps: Length of the run, with ``train.seconds`` extrapolated from the measured speed.
        images: Samples of data that it sees.
        step_seconds: Mean seconds of a step.
        start: Seconds from the loaded data to the first step.
        chores: What it does besides training.
        memory: The peak, in bytes: of the process, or of what torch holds on a GPU.
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

    Args:
        config: The run.
        data: What ``prepare`` returned for it.
        runtime: Where it would be trained.
        max_seconds: Seconds for which steps are timed; at least three steps are.

    Raises:
        Diverged: When its first steps do.
        CheckpointError: When ``train.init_from`` does not match.
    """
    # The trial has a budget of its own, whatever the run's is.
    trial = replace(config, train=replace(config.train, steps=ENDLESS, images=None, seconds=max_seconds))
    if runtime.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(runtime.device)
    began = time.perf_counter()
    state = TrainState.create(config, data.spec, runtime)
    if config.train.init_from:
        init_from(state, load_checkpoint(config.train.init_from))
    built = time.perf_counter() - began
    G, D = _layers(config, data, runtime, state)
    # Messages about the trial would be taken for messages about the run.
    with tempfile.TemporaryDirectory(prefix="gantrain-") as name, mute_logging(logging.CRITICAL):
        folder = Path(name)
        tracker = Tracker(folder)
        housekeeping = Housekeeping(folder, trial, data, runtime, tracker, state, Session(bar=False))
        try:
            start = built + _seconds(lambda: housekeeping.begin(state))
            step_seconds, batches = _time_steps(trial, data, runtime, state, housekeeping)
            steps = (
                config.train.steps
                if config.train.seconds is None
                else round(config.train.seconds / step_seconds)
            )
            chores = _time_chores(config.train, max(steps, 1), housekeeping, state)
        finally:
            tracker.close()
        size = sum(path.stat().st_size for path in folder.glob("checkpoints/*/*"))
    images = round(max(steps, 1) * batches * config.train.batch_size)
    return Estimate(G, D, max(steps, 1), images, step_seconds, start, chores, _peak_memory(runtime), size)


def _layers(
    config: Config, data: Data, runtime: Runtime, state: TrainState
) -> tuple[list[Layer], list[Layer]]:
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
    """Train a few steps; return the mean seconds and the mean number of batches of a step.

    Steps with and without a lazy penalty are averaged apart, each kind without its first step, which is slower, and
    then weighted by how often they occur.
    """
    # Seconds of each step, by whether a penalty was paid on it.
    laps: dict[bool, list[float]] = {True: [], False: []}
    clock = [time.perf_counter()]

    def has_penalty(step: int) -> bool:
        return trial.penalty.for_step(step, trial.optimizer.horizon) is not None

    def record_lap(state: TrainState) -> None:
        clock.append(time.perf_counter())
        laps[has_penalty(state.step - 1)].append(clock[-1] - clock[-2])
        enough = len(clock) > MIN_STEPS + 1
        state.seconds = clock[-1] - clock[1] if enough else 0.0

    held_out = None if trial.train.d_gain is None else held_out_batch(data, trial, runtime)
    batches = Batches(visible_split(data.train, trial), trial.train.batch_size, trial.seed, runtime.device)
    train(state, batches, trial, runtime, housekeeping.means.add, record_lap, held_out)
    means = {kind: sum(times[1:]) / len(times[1:]) for kind, times in laps.items() if len(times) > 1}
    share = sum(map(has_penalty, range(1000))) / 1000
    means = {kind: times[0] for kind, times in laps.items() if times} | means
    weights = {kind: share if kind else 1 - share for kind in means}
    mean = sum(seconds * weights[kind] for kind, seconds in means.items()) / sum(weights.values())
    return mean, state.batches / state.step


def _time_chores(options: Train, steps: int, housekeeping: Housekeeping, state: TrainState) -> list[Chore]:
    """Do once or twice what the run does besides training, and return what all of it costs."""

    def times(every: int) -> int:
        return -(-steps // every) if every else 0

    evaluations = max(times(options.evaluate_every), 1) if housekeeping.metrics else 0
    logs, pictures = times(options.log_every), times(options.sample_every)
    saves = max(times(options.checkpoint_every), 1)
    log = _seconds(lambda: housekeeping.log_scalars(state, live=True)) if logs else 0.0
    reading = _time_evaluations(evaluations, housekeeping, state) if evaluations else 0.0
    picture = _seconds(lambda: housekeeping.gallery.sample(state, {})) if pictures else 0.0
    save = _seconds(lambda: housekeeping.save(state))
    return [
        Chore("scalars", logs, logs * log),
        Chore("metrics", evaluations, reading),
        Chore("pictures", pictures, pictures * picture),
        Chore("checkpoints", saves, saves * save),
    ]


def _time_evaluations(times: int, housekeeping: Housekeeping, state: TrainState) -> float:
    """Return the seconds of all evaluations: the first loads what it needs, the last computes the floors too."""
    state.seconds = 0.0
    first = _seconds(lambda: housekeeping.compute_metrics(state))
    if first > MAX_SECONDS:
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
    # Kilobytes, but bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
