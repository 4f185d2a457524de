"""gantrain from Python: a run as an object, and training for notebooks."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gantrain.config.options import Device
from gantrain.config.overrides import CommandLine
from gantrain.core.files import read_json
from gantrain.core.plugins import use
from gantrain.core.run_folder import RunFolder
from gantrain.core.spec import Spec
from gantrain.core.system import resolve_device
from gantrain.errors import ConfigError
from gantrain.models.base import Generator, Player
from gantrain.registry import parse
from gantrain.sampling.export import write_generator
from gantrain.sampling.generate import draw, repeat_conditions
from gantrain.sampling.latents import latents
from gantrain.sampling.options import SampleOptions, conditions_of
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.restore import config_and_spec
from gantrain.training.start import start_run
from gantrain.training.state import build_networks, load_network

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Run:
    """A run as one of its checkpoints has it.

    Attributes:
        path: The run's folder.
        step: Generator steps behind the checkpoint.
        config: The resolved config as plain data: ``config["train"]["steps"]``.
        spec: Shape, classes and units of the data.
        G: The averaged generator, in eval mode: ``G(z, y) -> x``, y None unless it is conditional.
        D: The discriminator, in eval mode: ``D(x, y) -> logits`` [N], positive for real.
        device: Where both are.
    """

    path: Path
    step: int
    config: dict[str, Any] = field(repr=False)
    spec: Spec = field(repr=False)
    G: Generator = field(repr=False)
    D: Player = field(repr=False)
    device: torch.device

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

        Images are in [-1, 1]; rows of a table are in the networks' units, of which ``rows`` makes the table's.

        Args:
            n: How many.
            seed: Seed of the latents; the same seed, the same samples.
            classes: Labels to repeat in turn, for a generator of classes; None for all of them.
            condition: Captions or rows of numbers, separated by semicolons, to repeat in turn.
            truncation: Largest absolute value in z.

        Raises:
            ConfigError: For a word that this generator cannot follow.
        """
        options = _sample_options(n, seed, classes, condition, truncation)
        return draw(
            self.G, options.n, options.seed, self._conditions(options), self.device, options.truncation
        )[0]

    def labels(
        self, n: int = 64, *, classes: Sequence[int] | None = None, condition: str | None = None
    ) -> Tensor | None:
        """Return what ``sample`` asks each of ``n`` samples for: classes [n] or rows [n, w]; None without conditions.

        Raises:
            ConfigError: For a word that this generator cannot follow.
        """
        options = _sample_options(n, 0, classes, condition, None)
        return repeat_conditions(self._conditions(options), options.n)

    def latents(self, n: int = 64, *, seed: int = 0, truncation: float | None = None) -> Tensor:
        """Return the latents [n, ...] that ``sample`` gives to G, on the CPU."""
        options = _sample_options(n, seed, None, None, truncation)
        return latents(self.G, options.n, options.seed, options.truncation)

    def rows(self, x: Tensor, y: Tensor | None = None) -> pandas.DataFrame:
        """Return samples of a table in its own units, a row each, with the label's column where ``y`` is given.

        Raises:
            ConfigError: For a run whose data are no table.
        """
        import pandas

        if self.spec.table is None:
            raise ConfigError("rows", "the data of this run are no table", "use the samples as they are")
        return pandas.DataFrame(self.spec.table.restore(x, y))

    @property
    def result(self) -> dict[str, Any]:
        """What ``result.json`` says of how the run ended; empty while it is not there."""
        return RunFolder(self.path).result

    @property
    def metrics(self) -> dict[str, float | None]:
        """The metrics of this step by tag, of the end of the run or of ``gantrain evaluate``; empty without either."""
        found = [self.result, read_json(RunFolder(self.path).evaluation_file(self.step))]
        read = [one.get("metrics", {}) for one in found if one.get("step") == self.step]
        return {tag: value for metrics in read for tag, value in metrics.items()}

    def history(self) -> pandas.DataFrame:
        """Return every scalar of ``metrics.jsonl``: a row for each step that has one, a column for each tag."""
        import pandas

        merged: dict[int, dict[str, float | None]] = {}
        for row in RunFolder(self.path).history:
            merged.setdefault(row.pop("step"), {}).update(row)
        table = pandas.DataFrame.from_dict(merged, orient="index", dtype=float)
        return table.rename_axis("step")

    def export(self, out: str | os.PathLike[str]) -> Path:
        """Write G as ``.pt2`` or ``.onnx``, which load where gantrain is not installed, and return the path.

        Raises:
            ConfigError: For another kind of file, or ``.onnx`` without the extra ``gantrain[onnx]``.
        """
        path = Path(out).expanduser()
        write_generator(path, self.G, self.spec, self.config, self.step)
        return path

    def _conditions(self, options: SampleOptions) -> Tensor | None:
        return conditions_of(options, self.spec, self.config["model"]["condition"] != "none")


Plugins = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def load(run: str | os.PathLike[str], device: str = "cpu", plugins: Plugins = ()) -> Run:
    """Return a run; the data that it was trained on need not be there.

    Args:
        run: A run's folder, for its newest checkpoint, or a checkpoint inside one.
        device: Where the networks go: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        plugins: Folders of plug-ins in place of those that the run was trained with; none: those, if they are trusted.

    Raises:
        CheckpointError: When there is none, or it is damaged.
        ConfigError: For a device that is not there, or plug-ins that are not trusted, absent or changed.
    """
    _use(plugins)
    checkpoint = load_checkpoint(os.fspath(run))
    config, spec = config_and_spec(checkpoint)
    place = resolve_device(parse(Device, "device", {"kind": device}).kind)
    G, D = build_networks(config, spec)
    for player, part in ((G, "G_ema"), (D, "D")):
        load_network(player, checkpoint.tensors, part)
        player.eval().to(place)
    return Run(checkpoint.run, checkpoint.step, config.plain(), spec, G, D, place)


def train(overrides: Sequence[str] = (), plugins: Plugins = ()) -> Run:
    """Train one run in this process and return it; in a notebook an interrupt saves it first.

    Args:
        overrides: What stands after ``gantrain`` on a command line: ``["dataset=ring", "train.steps=100"]``.
        plugins: Folders of plug-ins, as after ``--plugins``.

    Raises:
        GantrainError: What a command line would report in one line; ``exit_code`` is its exit code.
    """
    if isinstance(overrides, str):
        raise ConfigError("overrides", "is one string", f"give a list of words: {overrides.split()}")
    _use(plugins)
    line = CommandLine.parse(list(map(str, overrides)))
    if line.flags:
        remedy = "give key=value words alone, and for several runs call it for each"
        raise ConfigError(line.flags[0], "is for the command line", remedy)
    with _restore_process():
        folder = start_run(line)
    if folder is None:
        raise ConfigError(
            "train.dry_run", "trains no run to return", "leave it out, or type it in a terminal"
        )
    return load(folder, plugins=plugins)


def _use(plugins: Plugins) -> None:
    use([plugins] if isinstance(plugins, str | os.PathLike) else plugins)


@contextmanager
def _restore_process() -> Iterator[None]:
    """Restore the process's log handlers, which Hydra replaces, and its threads."""
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
        raise ConfigError("classes", f"{classes!r} is no list of labels", "write classes=[3, 7]") from error
    return parse(SampleOptions, "", plain | {"classes": labels})
