"""The text of a dry run: ``train.dry_run=true``."""

from __future__ import annotations

from gantrain.config.options import Config
from gantrain.config.validate import cautions
from gantrain.core.text import format_duration, format_size
from gantrain.datasets.base import Data
from gantrain.training.device import Runtime
from gantrain.training.dry_run.estimate import MAX_SECONDS, estimate
from gantrain.training.dry_run.layers import count, layer_table
from gantrain.training.run import prepare


def summary_line(config: Config) -> str:
    """Return length and cost of a run in one line, for a job of a sweep; its data are loaded.

    Raises:
        GantrainError: For anything that would stop it before or in its first steps.
    """
    runtime = Runtime(config.device)
    found = estimate(config, prepare(config), runtime, MAX_SECONDS / 2)
    return (
        f"{config.name}: {format_duration(found.seconds)}, {found.steps:,} steps, {found.images:,} images, "
        f"G {count(found.G):,} and D {count(found.D):,} parameters, {format_size(found.memory)}"
    )


def report(config: Config, data: Data, runtime: Runtime) -> str:
    """Return what a run is and costs: the game, layers, memory, time, and what it would write.

    Args:
        config: The run.
        data: What ``prepare`` returned for it.
        runtime: Where it would be trained.

    Raises:
        GantrainError: As ``estimate``.
    """
    found, spec, options = estimate(config, data, runtime, MAX_SECONDS), data.spec, config.train
    classes = f", {spec.classes} classes" if spec.classes else ""
    about = "about " if options.seconds else ""
    speed = found.images / found.steps / found.step_seconds
    chores = "".join(
        f", {format_duration(w.seconds)} {w.what} ({often(w.times)})" for w in found.chores if w.times
    )
    where = config.run.dir or f"a new folder under {config.run.root}"
    kept = min(options.keep_checkpoints, next(w.times for w in found.chores if w.what == "checkpoints"))
    on = "of the process" if runtime.device.type == "cpu" else f"on {runtime.device}"
    # One line a subject, in columns.
    lines = [
        f"data      {len(data.train):,} samples to train on, {len(data.holdout):,} held out, "
        f"each {list(spec.shape)}{classes}",
        f"budget    train.{options.budget}={getattr(options, options.budget):,}: {about}{found.steps:,} steps, "
        f"{found.images:,} images, {found.images / len(data.train):.3g} passes",
        f"memory    {format_size(found.memory)} at its peak, {on}",
        f"speed     {speed:,.0f} images a second, {1 / found.step_seconds:,.3g} steps",
        f"time      {format_duration(found.seconds)}: {format_duration(found.start)} start, "
        f"{format_duration(found.training)} training{chores}",
        f"writes    {where}: {kept} checkpoint{'s' if kept > 1 else ''} of {format_size(found.checkpoint)}",
        *(f"caution   {text}" for text in cautions(config)),
    ]
    head = f"{config.name} on {runtime.device}, {runtime.threads} threads, {runtime.precision}: a dry run\n"
    parts = [head + config.objective.meaning, layer_table("G", found.G), layer_table("D", found.D)]
    return "\n\n".join([*parts, "\n".join(lines), "nothing was trained and nothing was written"])


def often(times: int) -> str:
    """Return a number of times in words."""
    return "once" if times == 1 else f"{times:,} times"
