"""The text of a dry run: ``train.dry_run=true``."""

from gantrain.config.cautions import cautions
from gantrain.config.game import meaning
from gantrain.config.options import Config
from gantrain.core.text import count, escape_controls, format_duration, format_size
from gantrain.datasets.base import Data
from gantrain.training.dry_run.estimate import MAX_SECONDS, estimate
from gantrain.training.dry_run.layers import layer_table, total_parameters
from gantrain.training.run import prepare
from gantrain.training.runtime import Runtime


def summary_line(config: Config) -> str:
    """Load the data of a job of a sweep, and return the job's length and cost in one line.

    Raises:
        GantrainError: For anything that would stop it before or in its first steps.
    """
    data, runtime = prepare(config), Runtime(config.device)
    with runtime.settings():
        cost = estimate(config, data, runtime, MAX_SECONDS / 2)
    G, D = total_parameters(cost.G), total_parameters(cost.D)
    return (
        f"{config.name}: {format_duration(cost.seconds)}, {cost.steps:,} steps, {cost.images:,} images, "
        f"G {G:,} and D {D:,} parameters, {format_size(cost.memory)}"
    )


def report(config: Config, data: Data, runtime: Runtime) -> str:
    """Return what a run is and costs: the game, layers, memory, time, and what it would write.

    Raises:
        GantrainError: As ``estimate``.
    """
    with runtime.settings():
        cost = estimate(config, data, runtime, MAX_SECONDS)
    spec, options = data.spec, config.train
    classes = f", {spec.classes} classes" if spec.classes else ""
    about = "about " if options.time else ""  # whose steps depend on the speed
    chores = "".join(
        f", {format_duration(chore.seconds)} {chore.what} ({_how_often(chore.times)})"
        for chore in cost.chores
        if chore.times
    )
    # What it would write, and the memory it would take.
    where = config.run.dir or f"a new folder under {config.run.root}"
    saves = next(chore.times for chore in cost.chores if chore.what == "checkpoints")
    kept = min(options.keep_checkpoints, saves)
    best = ", and that of the best evaluation" if options.keep_best else ""
    device = "of the process" if runtime.device.type == "cpu" else f"on {runtime.device}"
    # One line for each subject.
    lines = [
        f"data      {len(data.train):,} samples to train on, {len(data.holdout):,} held out, "
        f"each {list(spec.shape)}{classes}",
        *([f"taken     {escape_controls(data.summary)}"] if data.summary else []),
        f"budget    train.{options.budget}={getattr(options, options.budget):,}: {about}{cost.steps:,} steps, "
        f"{cost.images:,} images, {cost.images / len(data.train):.3g} passes",
        f"memory    {format_size(cost.memory)} at its peak, {device}",
        f"speed     {cost.images / cost.steps / cost.step_seconds:,.0f} images a second, "
        f"{1 / cost.step_seconds:,.3g} steps",
        f"time      {format_duration(cost.seconds)}: {format_duration(cost.start)} start, "
        f"{format_duration(cost.training)} training{chores}",
        *([f"faster    {faster}"] if (faster := config.model.faster(spec)) else []),
        f"writes    {where}: {kept} checkpoint{'s' if kept > 1 else ''} of {format_size(cost.checkpoint)}{best}",
        *(f"caution   {text}" for text in cautions(config)),
    ]
    # The game, a table for each network, the lines, and what did not happen.
    threads = count(runtime.threads, "thread")
    head = f"{config.name} on {runtime.device}, {threads}, {runtime.precision}: a dry run\n"
    parts = [head + meaning(config), layer_table("G", cost.G), layer_table("D", cost.D)]
    return "\n\n".join([*parts, "\n".join(lines), "nothing was trained and nothing was written"])


def _how_often(times: int) -> str:
    return "once" if times == 1 else f"{times:,} times"
