"""Samples as files: a grid, single PNGs, an array, or rows of a table."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.core.table_units import Table
from gantrain.errors import ConfigError
from gantrain.sampling.animation import SUFFIXES
from gantrain.sampling.images import grid, sort_by_condition, to_image, to_uint8


def check_samples_file(out: Path, spec: Spec) -> None:
    """Raise ConfigError for a suffix that does not fit the samples."""
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


def check_animation_file(out: Path, spec: Spec) -> None:
    """Raise ConfigError for a suffix that is no animation's, or for samples that cannot be shown in motion."""
    if spec.table or not (spec.is_image or spec.shape == (2,)):
        what = "shows images, or points of two numbers, and these samples are neither"
        raise ConfigError("interpolate", what, "leave it out")
    if out.suffix not in SUFFIXES:
        what = f"{out.suffix} is not a kind of file for an animation"
        raise ConfigError("out", what, "end it in .gif, .png, .apng, or nothing")


def write_samples(out: Path, x: Tensor, y: Tensor | None, spec: Spec) -> None:
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
        grid(sort_by_condition(x, y), min(columns, 16)).save(out)
    else:
        for i, pixels in enumerate(to_uint8(x).numpy()):
            label = "" if y is None or spec.condition else f"-class{int(y[i])}"
            to_image(pixels).save(out / f"{i:06d}{label}.png")
        if y is not None and spec.condition:
            rows = [[f"{i:06d}.png", spec.condition.write(row)] for i, row in enumerate(y)]
            with (out / "conditions.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows([["file", "condition"], *rows])


def write_rows(out: Path, table: Table, x: Tensor, y: Tensor | None) -> None:
    """Write points [N, d] in the units of the table they learned: ``.npz``, ``.parquet``, else CSV in UTF-8.

    Raises:
        OSError: When the place cannot be written.
    """
    named = table.restore(x, y)
    if out.suffix == ".npz":
        numeric = [name for name in named if name != table.label]
        values = np.array([named[name] for name in numeric], dtype=np.float64).T
        arrays: dict[str, Any] = {"x": values, "columns": np.array(numeric)}
        if y is not None:
            arrays |= {"y": y.numpy(), "values": np.array(table.values)}
        np.savez(out, **arrays)
    elif out.suffix == ".parquet":
        import pandas

        pandas.DataFrame(named).to_parquet(out, engine="pyarrow", index=False)
    else:
        with out.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(named)
            rows.writerows(zip(*named.values(), strict=True))
