"""gantrain from Python: a run as an object, and training for notebooks."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas
import torch
from PIL import Image
from torch import Tensor

from gantrain.config.device import Device
from gantrain.config.overrides import CommandLine
from gantrain.core.device import resolve_device
from gantrain.core.history import read_history
from gantrain.core.plugins import use
from gantrain.core.run_folder import RunFolder
from gantrain.core.spec import Spec
from gantrain.core.system import is_one_of_several
from gantrain.core.text import escape_controls
from gantrain.errors import ConfigError
from gantrain.models.base import Discriminator, Generator
from gantrain.registry import parse
from gantrain.reports.at_step import metrics_at
from gantrain.reports.description import run_page
from gantrain.reports.plot import live_picture, plot_curves
from gantrain.sampling.export import write_generator
from gantrain.sampling.generate import draw, repeat_conditions
from gantrain.sampling.latents import latents
from gantrain.sampling.options import SampleOptions, conditions_of
from gantrain.sampling.write import picture
from gantrain.tracking.notebook import CellPicture, in_notebook
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.restore import config_and_spec
from gantrain.training.start import start_run
from gantrain.training.state import build_networks, tensors_of


@dataclass(frozen=True, eq=False)
class Run:
    """A run at one of its checkpoints."""

    path: Path  # the run's folder
    step: int  # of the checkpoint
    config: dict[str, Any] = field(repr=False)  # resolved, as plain data: ``config["train"]["steps"]``
    spec: Spec = field(repr=False)  # shape, classes and units of the data
    G: Generator = field(repr=False)  # averaged, in eval mode: ``G(z, y) -> x``, y None if unconditional
    D: Discriminator = field(repr=False)  # in eval mode: ``D(x, y) -> logits`` [N], positive for real
    device: torch.device  # of G and D

    def sample(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        classes: Sequence[int] | None = None,
        condition: str | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Return ``n`` samples [n, *shape], float32 on the CPU: those that ``gantrain sample`` writes.

        Images are in [-1, 1]; rows of a table are standardized, and ``rows`` restores their units. Raises ConfigError
        for an argument that this generator does not support.

        Args:
            n: Number of samples.
            seed: Seed of the latents.
            classes: Labels to cycle through, for a class-conditional generator; None for all of them.
            condition: Captions, or rows of numbers, separated by semicolons, to cycle through.
            truncation: Largest absolute value in z, or psi of a generator by styles.
        """
        options = _sample_options(n, seed, classes, condition, truncation)
        conditions = self._conditions(options)
        return draw(self.G, options.n, options.seed, conditions, self.device, options.truncation)[0]

    def grid(
        self,
        n: int = 64,
        *,
        seed: int = 0,
        classes: Sequence[int] | None = None,
        condition: str | None = None,
        truncation: float | None = None,
    ) -> Image.Image:
        """Return those samples as one picture: a grid of images, or points in the plane. Raises ConfigError."""
        x = self.sample(n, seed=seed, classes=classes, condition=condition, truncation=truncation)
        return picture(x, self.labels(n, classes=classes, condition=condition), self.spec)

    def plot(self, *tags: str) -> Image.Image:
        """Return curves over steps as a picture, each with a band of one standard error: ``plot("divergence/js")``.

        Without tags, the main ones. Raises ConfigError for a tag that is no column of ``history``.
        """
        return plot_curves(self.path, tags)

    def show(self, full: bool = False) -> None:
        """Print the page of ``gantrain show``: how the run went, its files, what to type next; ``full`` its config."""
        print(escape_controls(run_page(self.path, full), "\n"))

    def labels(
        self, n: int = 64, *, classes: Sequence[int] | None = None, condition: str | None = None
    ) -> Tensor | None:
        """Return the conditions of ``sample``: classes [n] or rows [n, w], or None. Raises ConfigError."""
        options = _sample_options(n, 0, classes, condition, None)
        return repeat_conditions(self._conditions(options), options.n)

    def latents(self, n: int = 64, *, seed: int = 0, truncation: float | None = None) -> Tensor:
        """Return the latents [n, ...] of ``sample``, on the CPU."""
        options = _sample_options(n, seed, None, None, truncation)
        return latents(self.G, options.n, options.seed, options.truncation)

    def rows(self, x: Tensor, y: Tensor | None = None) -> pandas.DataFrame:
        """Return samples in a table's units, with the label's column if given. Raises ConfigError for other data."""
        if self.spec.table is None:
            raise ConfigError("rows", "the data of this run are not a table", "use the samples themselves")
        return pandas.DataFrame(self.spec.table.restore(x, y))

    @property
    def result(self) -> dict[str, Any]:
        """The contents of ``result.json``; empty while there is none."""
        return RunFolder(self.path).result

    @property
    def metrics(self) -> dict[str, float | None]:
        """The metrics of this step by tag, as logged, from the end of the run, and from ``gantrain evaluate``."""
        return metrics_at(RunFolder(self.path), self.step)

    def history(self) -> pandas.DataFrame:
        """Return the scalars of ``metrics.jsonl``, with a row for each logged step and a column for each tag."""
        merged: dict[int, dict[str, float | None]] = {}
        for row in read_history(RunFolder(self.path).metrics_file, pieces=sys.maxsize):
            merged.setdefault(row.pop("step"), {}).update(row)
        return pandas.DataFrame.from_dict(merged, orient="index", dtype=float).rename_axis("step")

    def export(self, out: str | os.PathLike[str]) -> Path:
        """Write G as ``.pt2`` or ``.onnx`` (extra ``gantrain[onnx]``), which load without gantrain; return the path."""
        path = Path(os.path.expanduser(out))
        write_generator(path, self.G, self.spec, self.config, self.step)
        return path

    def _conditions(self, options: SampleOptions) -> Tensor | None:
        return conditions_of(options, self.spec, self.config["model"]["condition"] != "none")


Plugins = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def load(run: str | os.PathLike[str], device: str = "cpu", plugins: Plugins = ()) -> Run:
    """Load a run; its training data need not be available.

    Args:
        run: A run's folder, for its newest checkpoint, or one of its checkpoints: ``RUN@best``, ``RUN@900``.
        device: Of the networks: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        plugins: Folders of plug-ins; by default those that the run was trained with, if they are trusted.

    Raises:
        CheckpointError: For a checkpoint that is missing or damaged.
        ConfigError: For an unavailable device, or plug-ins that are not trusted, missing or changed.
    """
    _use(plugins)
    # Read the checkpoint and build its networks; nothing is loaded from the data.
    checkpoint = load_checkpoint(os.fspath(run))
    config, spec = config_and_spec(checkpoint)
    place = resolve_device(parse(Device, "device", {"kind": device}).kind)
    G, D = build_networks(config, spec)
    for player, part in ((G, "G_ema"), (D, "D")):
        player.load_state_dict(tensors_of(checkpoint.tensors, part))
        player.eval().to(place)
    return Run(checkpoint.run, checkpoint.step, config.plain(), spec, G, D, place)


def train(overrides: Sequence[str] = (), plugins: Plugins = ()) -> Run:
    """Train one run in this process, write its folder, and return it at its last checkpoint, on the CPU.

    ``train()`` trains on real handwritten digits, in about a minute. The same words and seed give the same run as the
    command line, bit for bit. In a notebook the cell shows the newest samples and curves while the run trains, and the
    stop button saves a checkpoint, from which ``gantrain resume`` goes on.

        run = gantrain.train(["dataset=ring", "objective=hinge", "train.steps=3000", "seed=1"])
        run.show()                 # how it went
        run.grid()                 # samples as a picture
        run.plot("divergence/js")  # a curve as a picture
        x = run.sample(1000)       # samples as a tensor

    Args:
        overrides: What follows ``gantrain`` on the command line, a string for each word: ``group=choice`` selects a
            file of settings, ``group.key=value`` sets a key, ``run.dir=FOLDER`` says where to write. ``gantrain list``
            prints every choice, ``gantrain docs configuration`` every key.
        plugins: A folder of plug-ins, or several, as for ``--plugins``.

    Raises:
        ConfigError: For a word that is no override, or a key, choice or value that cannot be run.
        DataError: For data that are missing or broken.
        OutputError: For a folder that cannot be written, or is not empty.
        Diverged: When a loss or gradient is not finite.
        Interrupted: When the run is stopped, after its state was saved.
    """
    if is_one_of_several():
        raise ConfigError("WORLD_SIZE", "is not that of one process", "use the command: torchrun -m gantrain")
    if isinstance(overrides, str):
        raise ConfigError("overrides", "is one string", f"give a list of words: {overrides.split()}")
    _use(plugins)
    line = CommandLine.parse(list(map(str, overrides)))
    if line.flags:
        remedy = "give only key=value words; for several runs call train for each"
        raise ConfigError(line.flags[0], "is for the command line", remedy)
    with _restore_process():
        cell = CellPicture(live_picture) if in_notebook() else None
        folder = start_run(line, cell.update if cell else None)
    if folder is None:
        raise ConfigError("train.dry_run", "trains no run to return", "leave it out, or use a terminal")
    if cell:
        cell.update(folder, force=True)
    return load(folder, plugins=plugins)


def _use(plugins: Plugins) -> None:
    use([plugins] if isinstance(plugins, str | os.PathLike) else plugins)


@contextmanager
def _restore_process() -> Iterator[None]:
    """Restore the log handlers, which Hydra replaces, and the number of threads."""
    handlers, level, threads = logging.root.handlers[:], logging.root.level, torch.get_num_threads()
    try:
        yield
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        torch.set_num_threads(threads)


def _sample_options(
    n: int, seed: int, classes: Sequence[int] | None, condition: str | None, truncation: float | None
) -> SampleOptions:
    plain = dict(n=n, seed=seed, condition=condition, truncation=truncation)
    try:
        labels = None if classes is None else [int(label) for label in classes]
    except (TypeError, ValueError) as error:
        what = f"{classes!r} is not a list of labels"
        raise ConfigError("classes", what, "write classes=[3, 7]") from error
    return parse(SampleOptions, "", plain | {"classes": labels})
