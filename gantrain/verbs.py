"""What is done with a run that exists: resume, sample, evaluate, look at it."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from gantrain.checkpoint import Checkpoint, load_checkpoint
from gantrain.config import Config, plain_data, resolve, resolve_for
from gantrain.datasets.base import Spec
from gantrain.errors import CheckpointError, ConfigError, DataError, suggest
from gantrain.options import Device
from gantrain.registry import option, parse
from gantrain.state import load_network, players, under

# Keys that may differ when a run goes on: they do not change what the finished steps were.
MAY_CHANGE = (
    "train.steps",
    "train.log_every",
    "train.sample_every",
    "train.evaluate_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "optimizer.horizon",
    "dataset.root",
    "dataset.path",
    "device.kind",
    "device.index",
    "device.threads",
)


def run_and_words(verb: str, argv: list[str]) -> tuple[Checkpoint, dict[str, str]]:
    """Return the checkpoint that a verb's first word names, and its ``key=value`` words.

    Raises:
        ConfigError: When the run is missing or a word is not ``key=value``.
        CheckpointError: When there is no readable checkpoint.
    """
    flags = [word for word in argv if "=" not in word and word.startswith("-")]
    folders = [word for word in argv if "=" not in word and not word.startswith("-")]
    if flags:
        raise ConfigError(flags[0], f"gantrain {verb} has no such flag", "see gantrain --help")
    if len(folders) != 1:
        what = "names no run" if not folders else f"takes one run, got {' '.join(folders)}"
        raise ConfigError(verb, what, f"gantrain {verb} outputs/<date>/<run>")
    words: dict[str, str] = {}
    for word in argv:
        key, equals, value = word.partition("=")
        if equals:
            words[key] = value
    return load_checkpoint(folders[0]), words


def value_of(key: str, text: str) -> Any:
    """Return a word's value as YAML reads it. Raises ConfigError."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{key}={text}", "is not a value", "quote it") from error


def resume(argv: list[str]) -> int:
    """Go on from a checkpoint in the same folder, up to ``train.steps``."""
    from gantrain.run import prepare, run
    from gantrain.summary import end_table

    checkpoint, words = run_and_words("resume", argv)
    _, spec = described(checkpoint)
    plain = checkpoint.config
    for key, text in words.items():
        group, _, name = key.partition(".")
        known = name in plain[group] if isinstance(plain.get(group), dict) else group in plain
        if not known:
            raise ConfigError(key, "there is no such key in this run", suggest(key, MAY_CHANGE))
        if key not in MAY_CHANGE:
            remedy = f"only these may change: {', '.join(MAY_CHANGE)}"
            raise ConfigError(key, "would make it another run", remedy)
        plain[group][name] = value_of(key, text)
    config = resolve(plain)
    if checkpoint.step >= config.train.steps:
        done = f"already finished at step {checkpoint.step}"
        more = f"train.steps={2 * checkpoint.step} optimizer.horizon={2 * checkpoint.step}"
        print(f"{checkpoint.run}: {done}; go on with: gantrain resume {checkpoint.run} {more}")
        return 0
    _same_data(config, spec)
    command = " ".join(["gantrain resume", *argv])
    result = run(config, checkpoint.run, checkpoint, command, prepare(config))
    print(end_table(result, checkpoint.run))
    return 0


def described(checkpoint: Checkpoint) -> tuple[Config, Spec]:
    """Return a checkpoint's config and data spec; the data itself need not be there.

    Raises:
        CheckpointError: For a config that cannot be run, or players that are not those of the config.
    """
    try:
        spec = Spec.from_plain(checkpoint.spec)
        config = resolve_for(checkpoint.config, spec)
        with torch.device("meta"):  # shapes alone: a forged width must not take the machine's memory
            G, D = config.model.build(spec)
        for part, network in (("G", G), ("D", D), ("G_ema", G)):
            network.load_state_dict(under(checkpoint.tensors, part), strict=True, assign=True)
    except (ConfigError, KeyError, TypeError, ValueError, RuntimeError) as error:
        what = f"does not hold a run ({' '.join(str(error).split())})"
        raise CheckpointError(checkpoint.path, what, "restore it, or use another checkpoint") from error
    return config, spec


@dataclass
class SampleOptions:
    """The words of ``gantrain sample``."""

    n: int = option(64, "how many samples", minimum=1, maximum=1_000_000)
    seed: int = option(0, "seed of the latents", minimum=0)
    classes: list[int] | None = option(None, "labels to repeat in turn", minimum=0)
    device: str = option("auto", "where to draw", choices=("auto", "cpu", "cuda", "mps"))
    out: str | None = option(
        None, "a .png grid, an .npz, or a folder for single PNGs; for a table a .csv or .parquet"
    )


def sample(argv: list[str]) -> int:
    """Write samples of the averaged generator: a grid, single PNGs, an .npz, or rows of a table."""
    from gantrain.runtime import Runtime
    from gantrain.sample import draw

    checkpoint, words = run_and_words("sample", argv)
    wanted = parse(SampleOptions, "", {key: value_of(key, text) for key, text in words.items()})
    config, spec, G = generator(checkpoint)
    classes = config.model.classes(spec)
    if wanted.classes and not classes:
        raise ConfigError("classes", "this generator is not conditional", "leave classes out")
    for label in wanted.classes or []:
        if label >= classes:
            raise ConfigError("classes", f"there is no class {label}", f"give labels from 0 to {classes - 1}")
    suffix = ".png" if spec.is_image else ".csv" if spec.table else ".npz"
    name = f"sample-{checkpoint.step:06d}-seed{wanted.seed}{suffix}"
    out = Path(wanted.out or checkpoint.run / "samples" / name).expanduser()
    _check_kind(out, spec)
    runtime = Runtime(Device(kind=wanted.device))  # not the run's own, which may have been on another machine
    x, y = draw(
        G.to(runtime.device), config.model, spec, wanted.n, wanted.seed, wanted.classes, runtime.device
    )
    write_samples(out, x, y, spec)
    print(out)
    return 0


def generator(checkpoint: Checkpoint) -> tuple[Config, Spec, nn.Module]:
    """Return a checkpoint's config, data spec and averaged generator; the data itself need not be there."""
    config, spec = described(checkpoint)
    G, _ = players(config, spec)
    load_network(G, checkpoint.tensors, "G_ema")
    return config, spec, G


def _same_data(config: Config, spec: Spec) -> None:
    """See that the data are those that the players know. Raises DataError."""
    if not config.spec.alike(spec):
        where = getattr(config.dataset, "path", None) or "dataset"
        what = "is not the data that the run began with: shape, columns, labels, mean or spread are others"
        raise DataError(where, what, "restore it, or train anew")


def _check_kind(out: Path, spec: Spec) -> None:
    if spec.table and out.suffix not in (".csv", ".npz", ".parquet"):
        what = f"{out.name} is not a kind of file for the rows of a table"
        raise ConfigError("out", what, "end it in .csv, .npz or .parquet")
    if spec.table:
        if out.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
            what = ".parquet needs pyarrow, which is not installed"
            raise ConfigError("out", what, "pip install 'gantrain[parquet]', or end it in .csv")
        return
    if out.suffix not in (".png", ".npz", ""):
        raise ConfigError(
            "out", f"{out.suffix} is not a kind of file it writes", "end it in .png, .npz, or nothing"
        )
    if out.suffix != ".npz" and not spec.is_image:
        raise ConfigError(
            "out", f"{out.name} is for images and these samples are points", "give out=NAME.npz"
        )


def write_samples(out: Path, x: torch.Tensor, y: torch.Tensor | None, spec: Spec) -> None:
    """Write samples as ``.npz`` (arrays ``x`` and ``y``), a ``.png`` grid, or a folder of single PNGs.

    Points of a table go back to its own units: as ``.csv``, ``.parquet``, or ``.npz`` with the names of the columns
    of ``x`` in ``columns``.

    Raises:
        OSError: When the place cannot be written.
    """
    from gantrain.sample import by_class, grid, to_image, to_uint8, write_rows

    folder = out if out.suffix == "" else out.parent
    folder.mkdir(parents=True, exist_ok=True)
    if spec.table:
        write_rows(out, spec.table, x, y)
    elif out.suffix == ".npz":
        pixels = to_uint8(x).numpy() if spec.is_image else x.numpy()
        if y is None:
            np.savez(out, x=pixels)
        else:
            np.savez(out, x=pixels, y=y.numpy())
    elif out.suffix == ".png":
        columns = 8 if y is None else len(x) // len(torch.unique(y)) or 1
        grid(by_class(x, y), min(columns, 16)).save(out)
    else:
        for i, pixels in enumerate(to_uint8(x).numpy()):
            label = "" if y is None else f"-class{int(y[i])}"
            to_image(pixels).save(out / f"{i:06d}{label}.png")


def evaluate(argv: list[str]) -> int:
    """Read metrics of a checkpoint and write them to ``evaluation-<step>.json`` in its run."""
    from gantrain.door import compose
    from gantrain.evaluate import fitting, read, view
    from gantrain.runtime import Runtime
    from gantrain.state import TrainState
    from gantrain.summary import table
    from gantrain.tracker import write_json

    logging.basicConfig(format="%(message)s")
    checkpoint, words = run_and_words("evaluate", argv)
    _, spec = described(checkpoint)
    allowed = ("metric", "device", "dataset.root", "dataset.path")
    for key in words:
        if key not in allowed and key.partition(".")[0] not in ("metric", "device"):
            raise ConfigError(
                key, "does not change an evaluation", suggest(key, [*allowed, "metric.n", "metric.k"])
            )
    given = [f"{key}={value}" for key, value in words.items()]
    composed = plain_data(compose([word for word in given if word.startswith(("metric", "device"))]))
    plain = checkpoint.config
    if "metric" in words:
        plain["metric"] = composed["metric"]
    for key, text in words.items():
        group, _, name = key.partition(".")
        if name:
            plain[group][name] = (
                composed[group][name] if group in ("metric", "device") else value_of(key, text)
            )
        elif group == "device":
            plain["device"] = composed["device"]
    config = resolve(plain)
    _same_data(config, spec)
    runtime = Runtime(config.device)
    data = config.dataset.load(config.seed)
    state = TrainState.create(config, data.spec, runtime)
    state.load(checkpoint.tensors, checkpoint.step, checkpoint.path)
    with runtime.autocast():
        reading = read(fitting(config, data), view(config, data, state, runtime), floors=True)
    out = checkpoint.run / f"evaluation-{checkpoint.step:06d}.json"
    write_json(out, {"step": checkpoint.step, **vars(reading)})
    print(f"{checkpoint.path}\n\n{table(reading.metrics, reading.floors)}\n\nresult     {out}")
    return 0


def tensorboard(argv: list[str]) -> int:
    """Start TensorBoard on 127.0.0.1 for a folder, keeping the images of every step."""
    named = bool(argv) and not argv[0].startswith("-")
    flags = argv[named:]  # TensorBoard's own, some of which take a value
    if flags and not flags[0].startswith("-"):
        raise ConfigError(
            "tensorboard", f"takes one folder, got {' '.join(argv)}", "give the folder above them"
        )
    folder = Path(argv[0] if named else "outputs").expanduser()
    if not folder.is_dir():
        raise CheckpointError(
            folder, "there is no such folder", "train first, or give the folder of your runs"
        )
    words = ["--logdir", str(folder), "--host", "127.0.0.1", "--samples_per_plugin", "images=500", *flags]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "tensorboard.main", *words])
