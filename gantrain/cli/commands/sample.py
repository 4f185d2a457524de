"""``gantrain sample RUN``."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gantrain.cli.arguments import run_and_words, value_of
from gantrain.core.run_folder import RunFolder
from gantrain.core.spec import Spec
from gantrain.core.system import resolve_device
from gantrain.errors import ConfigError
from gantrain.models.base import Generator
from gantrain.registry import option, parse
from gantrain.sampling.animation import KINDS, clouds, grids, write_animation
from gantrain.sampling.generate import draw, in_turn, made
from gantrain.sampling.images import by_condition, grid, to_image, to_uint8
from gantrain.sampling.latents import closed_way
from gantrain.sampling.table_rows import write_rows
from gantrain.training.restore import generator

SMOOTH = 16  # frames from one latent to the next, where frames is not given
CELLS, DOTS = 16, 500  # samples in a frame of images and of points, where n is not given


@dataclass
class SampleOptions:
    """The words of ``gantrain sample``."""

    n: int = option(64, "how many samples; in a frame of an animation 16", minimum=1, maximum=1_000_000)
    seed: int = option(0, "seed of the latents", minimum=0)
    classes: list[int] | None = option(None, "labels to repeat in turn", minimum=0)
    condition: str | None = option(
        None, "captions, or rows of numbers, between semicolons, to repeat in turn"
    )
    truncation: float | None = option(
        None,
        "largest absolute value in z, as if what is beyond were drawn again (Brock et al. 2019); dropout stays",
        above=0,
    )
    interpolate: int | None = option(
        None, "animate a loop along arcs through this many latents", minimum=2, maximum=1000
    )
    frames: int | None = option(
        None, "frames of the loop; 16 from a latent to the next by default", minimum=2, maximum=100_000
    )
    device: str = option("auto", "where to draw", choices=("auto", "cpu", "cuda", "mps"))
    out: str | None = option(
        None,
        "a .png grid, an .npz, or a folder for single PNGs; for a table a .csv or .parquet; "
        "for an animation a .gif, .png or .apng, or a folder for its frames",
    )


def sample(argv: list[str]) -> int:
    """Write samples of the averaged generator: a grid, single PNGs, an .npz, rows of a table, or an animation."""
    checkpoint, words = run_and_words("sample", argv)
    plain = {key: text if key == "condition" else value_of(key, text) for key, text in words.items()}
    wanted = parse(SampleOptions, "", plain)
    config, spec, G = generator(checkpoint)
    conditions = asked(wanted, spec, config.model.is_conditional)
    name = f"sample-{checkpoint.step:06d}-seed{wanted.seed}{_ending(wanted, spec)}"
    out = Path(wanted.out or RunFolder(checkpoint.run).samples / name).expanduser()
    if wanted.interpolate is None:
        _check_kind(out, spec)
    else:
        _check_animation(out, spec)
    _check_frames(wanted)
    device = resolve_device(wanted.device)  # not the run's own, perhaps on another machine
    G.to(device)
    if wanted.interpolate is None:
        x, y = draw(G, wanted.n, wanted.seed, conditions, device, wanted.truncation)
        write_samples(out, x, y, spec)
    else:
        n = wanted.n if "n" in words else _cells(spec, conditions)
        turns = wanted.interpolate
        latents = closed_way(G, n, wanted.seed, turns, wanted.frames or SMOOTH * turns, wanted.truncation)
        write_animation(out, _pictures(G, latents, in_turn(conditions, n), spec, device))
    print(out)
    return 0


def _ending(wanted: SampleOptions, spec: Spec) -> str:
    """Return how the name of what is written ends where ``out`` is not given."""
    cut = f"-truncation{wanted.truncation:g}" if wanted.truncation is not None else ""
    if wanted.interpolate is not None:
        return f"{cut}-interpolate{wanted.interpolate}.gif"
    return cut + (".png" if spec.is_image else ".csv" if spec.table else ".npz")


def _cells(spec: Spec, conditions: torch.Tensor | None) -> int:
    """Return how many samples a frame has where ``n`` is not given: one of each condition, or a few."""
    if not spec.is_image:
        return DOTS
    return CELLS if conditions is None else min(CELLS, len(conditions))


def _pictures(
    G: Generator, latents: Iterable[torch.Tensor], y: torch.Tensor | None, spec: Spec, device: torch.device
) -> Iterator[Image.Image]:
    """Return what G makes of each frame's latents as a picture; each cell keeps its condition."""
    frames = (made(G, z, y, device) for z in latents)
    return grids(frames) if spec.is_image else clouds(frames, y)


def asked(wanted: SampleOptions, spec: Spec, is_conditional: bool) -> torch.Tensor | None:
    """Return the conditions that samples are asked for in turn, or None. Raises ConfigError."""
    other, kind = ("classes", "condition") if spec.condition else ("condition", "classes")
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
    if wanted.condition and spec.condition:
        try:
            return spec.condition.tensor([spec.condition.read(text) for text in wanted.condition.split(";")])
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
    if not spec.is_image and out.suffix != ".npz":
        raise ConfigError("out", f"{out.name} is no kind of file for points", "end it in .npz")
    if out.suffix not in (".png", ".npz", ""):
        raise ConfigError(
            "out",
            f"{out.suffix} is not a kind of file for still samples",
            "end it in .png, .npz, or nothing, or add interpolate=8",
        )


def _check_animation(out: Path, spec: Spec) -> None:
    if spec.table or not (spec.is_image or spec.shape == (2,)):
        what = "shows images, or points of two numbers, and these samples are neither"
        raise ConfigError("interpolate", what, "leave it out")
    if out.suffix not in KINDS:
        what = f"{out.suffix} is not a kind of file for an animation"
        raise ConfigError("out", what, "end it in .gif, .png, .apng, or nothing")


def _check_frames(wanted: SampleOptions) -> None:
    if wanted.frames and wanted.interpolate is None:
        raise ConfigError("frames", "goes with an animation", "add interpolate=8, or leave it out")
    if wanted.frames and wanted.frames < (wanted.interpolate or 0):
        what = f"{wanted.frames} cannot show {wanted.interpolate} latents"
        raise ConfigError("frames", what, f"give {wanted.interpolate} or more, or leave it out")


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
            label = "" if y is None or spec.condition else f"-class{int(y[i])}"
            to_image(pixels).save(out / f"{i:06d}{label}.png")
        if y is not None and spec.condition:
            told = [[f"{i:06d}.png", spec.condition.write(row)] for i, row in enumerate(y)]
            with (out / "conditions.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([["file", "condition"], *told])
