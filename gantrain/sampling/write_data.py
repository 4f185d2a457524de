"""The data of a run as files that other programs read: pictures in folders of their classes, or arrays."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrain.core.atomic import new_folder, replacement
from gantrain.core.spec import Spec
from gantrain.datasets.base import Dataset, Split
from gantrain.errors import ConfigError
from gantrain.metrics.side import CHUNK
from gantrain.sampling.images import to_image, to_uint8
from gantrain.sampling.write import check_samples_file, write_samples

SAFE = re.compile(r"[^./\\\0][^/\\\0]{0,100}")  # a class's name that may be that of a folder


def choose(split: Split, n: int, seed: int) -> Tensor:
    """Return the rows of ``n`` samples of a split, those that an evaluation of a run of this seed takes, in order."""
    return torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:n].sort().values


def class_names(dataset: Dataset, spec: Spec) -> list[str]:
    """Return the folder's name of each class: its own, or its number where it has none that can be one."""
    names = list(getattr(getattr(dataset, "content", None), "classes", ()))
    if len({name.casefold() for name in names}) == spec.classes and all(map(SAFE.fullmatch, names)):
        return names
    width = len(str(spec.classes - 1))
    return [f"{label:0{width}}" for label in range(spec.classes)]


def check_data_file(out: Path, spec: Spec) -> None:
    """Raise ConfigError for a suffix that does not fit the data."""
    if not spec.is_image:
        check_samples_file(out, spec)
    elif out.suffix not in ("", ".npz") and not out.is_dir():
        what = f"{out.name} is not a file format for pictures"
        raise ConfigError("export-data", what, "end it in .npz, or in nothing for a folder of PNGs")


def write_data(out: Path, split: Split, rows: Tensor, spec: Spec, names: Sequence[str]) -> None:
    """Write samples of a split: images as PNGs in a new folder with one for each class, or as ``.npz``, points as rows.

    Args:
        out: The new folder or file.
        split: The samples.
        rows: Which of them, [n].
        spec: Of the data.
        names: Of the classes.

    Raises:
        OSError: When they cannot be written; nothing is then left.
    """
    if not spec.is_image:
        write_samples(out, *split.take(rows), spec)
    elif out.suffix == ".npz":
        out.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {"x": np.concatenate([pixels for _, pixels, _ in _chunks(split, rows)])}
        if split.y is not None:
            arrays["y"] = split.y.cpu()[rows].numpy()
        with replacement(out) as file:
            np.savez(file, **arrays)
    else:
        with new_folder(out) as folder:
            _write_pictures(folder, split, rows, spec, names)


def _write_pictures(folder: Path, split: Split, rows: Tensor, spec: Spec, names: Sequence[str]) -> None:
    width, conditions = len(str(len(split) - 1)), []
    for name in names:
        (folder / name).mkdir()
    for index, pixels, y in _chunks(split, rows):
        for i, row in enumerate(index.tolist()):
            name = f"{row:0{width}}.png"
            parent = folder / names[int(y[i])] if names and y is not None else folder
            to_image(pixels[i]).save(parent / name)
            if spec.condition and y is not None:
                # The form that dataset.attributes reads, or captions
                cells = [spec.condition.write(y[i])] if spec.condition.words else map(repr, y[i].tolist())
                conditions.append([name, *cells])
    if spec.condition:
        columns = ["condition"] if spec.condition.words else spec.condition.names
        with (folder / "attributes.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([["file", *columns], *conditions])


def _chunks(split: Split, rows: Tensor) -> Iterator[tuple[Tensor, np.ndarray, Tensor | None]]:
    """Yield some rows at a time, their pixels, uint8 [n, H, W, C], and their labels."""
    for part in rows.split(CHUNK):
        x, y = split.take(part)
        yield part, to_uint8(x).numpy(), y
