"""Samples as files: a grid, single PNGs, an array, or rows of a table."""

import csv
import importlib.util
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gantrain.core.atomic import replacement, replacement_folder
from gantrain.core.spec import Spec
from gantrain.core.table_units import Table
from gantrain.errors import ConfigError
from gantrain.sampling.animation import clouds
from gantrain.sampling.images import grid, sort_by_condition, to_image, to_uint8


def check_samples_file(out: Path, spec: Spec) -> None:
    """Raise ConfigError for a suffix that does not fit the samples, or a package that is missing."""
    suffixes, samples, remedy = [".npz"], "points", "end it in .npz"
    if spec.table:
        suffixes, samples = [".csv", ".npz", ".parquet"], "the rows of a table"
        remedy = "end it in .csv, .npz or .parquet"
    elif spec.is_image:
        suffixes, samples = [".png", ".npz", ""], "still images"
        remedy = "end it in .png, .npz, or nothing, or add interpolate=8"
    if out.suffix not in suffixes and not (out.is_dir() and "" in suffixes):
        raise ConfigError("out", f"{out.name} is not a file format for {samples}", remedy)
    if out.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        what = ".parquet needs pyarrow, which is not installed"
        raise ConfigError("out", what, "pip install 'gantrain[parquet]', or end it in .csv")


def check_animation_file(out: Path, spec: Spec) -> None:
    """Raise ConfigError for a suffix that is no animation's, or for samples that cannot be animated."""
    if spec.table or not (spec.is_image or spec.shape == (2,)):
        what = "shows images, or points of two numbers, and these samples are neither"
        raise ConfigError("interpolate", what, "leave it out")
    if out.suffix not in (".gif", ".png", ".apng", "") and not out.is_dir():
        what = f"{out.name} is not a file format for an animation"
        raise ConfigError("out", what, "end it in .gif, .png, .apng, or nothing")


def write_samples(out: Path, x: Tensor, y: Tensor | None, spec: Spec) -> None:
    """Write samples as ``.npz`` (arrays ``x`` and ``y``), a ``.png`` grid, or a folder of single PNGs.

    Points of a table are rows as of ``write_rows``. An earlier file is replaced when the new one is complete; of a
    folder, the files of the same names. Raises OSError.
    """
    if spec.is_image and (out.suffix == "" or out.is_dir()):
        with replacement_folder(out) as folder:
            _write_pngs(folder, x, y, spec)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacement(out) as file:
        if spec.table:
            write_rows(file, out.suffix, spec.table, x, y)
        elif out.suffix == ".npz":
            arrays: dict[str, Any] = {"x": to_uint8(x).numpy() if spec.is_image else x.numpy()}
            np.savez(file, **arrays if y is None else arrays | {"y": y.numpy()})
        else:
            picture(x, y, spec).save(file, "PNG")


def picture(x: Tensor, y: Tensor | None, spec: Spec) -> Image.Image:
    """Return samples as one picture: a grid of images, or points [N, 2] in the plane. Raises ConfigError for others."""
    if spec.is_image:
        # A row for each condition, or rows of eight; at most 16 cells a row.
        columns = 8 if y is None else len(x) // len(torch.unique(y, dim=0)) or 1
        return grid(sort_by_condition(x, y), min(columns, 16))
    if spec.shape != (2,):
        what = "shows images, or points of two numbers, and these samples are neither"
        raise ConfigError("grid", what, "use the samples themselves: run.sample(), or run.rows()")
    return next(clouds([x], y))


def _write_pngs(folder: Path, x: Tensor, y: Tensor | None, spec: Spec) -> None:
    for i, pixels in enumerate(to_uint8(x).numpy()):
        label = "" if y is None or spec.condition else f"-class{int(y[i])}"
        to_image(pixels).save(folder / f"{i:06d}{label}.png")
    if y is not None and spec.condition:
        # Captions and rows of numbers do not fit into file names.
        rows = ((f"{i:06d}.png", spec.condition.write(row)) for i, row in enumerate(y))
        with (folder / "conditions.csv").open("wb") as file:
            _write_csv(file, ("file", "condition"), rows)


def write_rows(file: BinaryIO, suffix: str, table: Table, x: Tensor, y: Tensor | None) -> None:
    """Write standardised points [N, d] as rows of a table, in its own units.

    As ``.parquet``; as ``.npz`` with numbers in ``x`` and the names of its columns in ``columns``, and classes in ``y``
    with their texts in ``values``; else as CSV in UTF-8. Raises OSError.
    """
    columns = table.restore(x, y)
    if suffix == ".npz":
        numeric = [name for name in columns if name != table.label]
        values = np.array([columns[name] for name in numeric], dtype=np.float64).T  # [N, d]
        arrays: dict[str, Any] = {"x": values, "columns": np.array(numeric)}
        if y is not None:
            arrays |= {"y": y.numpy(), "values": np.array(table.values)}
        np.savez(file, **arrays)
    elif suffix == ".parquet":
        import pandas

        file.write(pandas.DataFrame(columns).to_parquet(engine="pyarrow", index=False))
    else:
        _write_csv(file, columns, zip(*columns.values(), strict=True))


def _write_csv(file: BinaryIO, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    text.detach()  # flushed, and still open
