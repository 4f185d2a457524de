"""``gantrain sample RUN``."""

from __future__ import annotations

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gantrain.errors import ConfigError
from gantrain.options import Device
from gantrain.registry import option, parse
from gantrain.runtime import Runtime
from gantrain.sample import by_condition, draw, grid, to_image, to_uint8, write_rows
from gantrain.spec import Spec
from gantrain.verbs.words import generator, run_and_words, value_of


@dataclass
class SampleOptions:
    """The words of ``gantrain sample``."""

    n: int = option(64, "how many samples", minimum=1, maximum=1_000_000)
    seed: int = option(0, "seed of the latents", minimum=0)
    classes: list[int] | None = option(None, "labels to repeat in turn", minimum=0)
    condition: str | None = option(
        None, "captions, or rows of numbers, between semicolons, to repeat in turn"
    )
    device: str = option("auto", "where to draw", choices=("auto", "cpu", "cuda", "mps"))
    out: str | None = option(
        None, "a .png grid, an .npz, or a folder for single PNGs; for a table a .csv or .parquet"
    )


def sample(argv: list[str]) -> int:
    """Write samples of the averaged generator: a grid, single PNGs, an .npz, or rows of a table."""
    checkpoint, words = run_and_words("sample", argv)
    plain = {key: text if key == "condition" else value_of(key, text) for key, text in words.items()}
    wanted = parse(SampleOptions, "", plain)
    config, spec, G = generator(checkpoint)
    asked = _asked(wanted, spec, config.model.is_conditional)
    suffix = ".png" if spec.is_image else ".csv" if spec.table else ".npz"
    name = f"sample-{checkpoint.step:06d}-seed{wanted.seed}{suffix}"
    out = Path(wanted.out or checkpoint.run / "samples" / name).expanduser()
    _check_kind(out, spec)
    runtime = Runtime(Device(kind=wanted.device))  # not the run's own, which may have been on another machine
    x, y = draw(G.to(runtime.device), wanted.n, wanted.seed, asked, runtime.device)
    write_samples(out, x, y, spec)
    print(out)
    return 0


def _asked(wanted: SampleOptions, spec: Spec, is_conditional: bool) -> torch.Tensor | None:
    """Return the conditions that samples are asked for in turn. Raises ConfigError."""
    other, kind = ("classes", "condition") if spec.given else ("condition", "classes")
    if getattr(wanted, other):
        raise ConfigError(other, "this generator knows no such condition", f"leave it out, or give {kind}")
    if not is_conditional:
        if wanted.classes or wanted.condition:
            raise ConfigError(kind, "this generator is not conditional", f"leave {kind} out")
        return None
    for label in wanted.classes or []:
        if label >= spec.classes:
            what = f"there is no class {label}"
            raise ConfigError("classes", what, f"give labels from 0 to {spec.classes - 1}")
    if wanted.condition and spec.given:
        try:
            return spec.given.tensor([spec.given.read(text) for text in wanted.condition.split(";")])
        except ValueError as error:
            raise ConfigError("condition", "cannot be asked for", str(error)) from error
    return torch.tensor(wanted.classes) if wanted.classes else spec.conditions()


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
        columns = 8 if y is None else len(x) // len(torch.unique(y, dim=0)) or 1
        grid(by_condition(x, y), min(columns, 16)).save(out)
    else:
        for i, pixels in enumerate(to_uint8(x).numpy()):
            label = "" if y is None or spec.given else f"-class{int(y[i])}"
            to_image(pixels).save(out / f"{i:06d}{label}.png")
        if y is not None and spec.given:
            told = [[f"{i:06d}.png", spec.given.write(row)] for i, row in enumerate(y)]
            with (out / "conditions.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([["file", "condition"], *told])
