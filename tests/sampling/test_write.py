"""Samples on disk: every kind of file takes the place of the old one when it is whole, and not before."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from malformed import contents
from PIL import Image

from gantrain.core.spec import Spec
from gantrain.core.table_units import Column, Table
from gantrain.sampling.animation import grids, write_animation
from gantrain.sampling.write import write_samples

IMAGES, POINTS = Spec((1, 8, 8), classes=3), Spec((2,))
ROWS = Spec((2,), table=Table((Column("a", 0.0, 1.0, 3), Column("b", 1.0, 2.0, 3)), ("a", "b")))


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Inside the block a write beyond ``size`` bytes of a file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def still(out: Path, spec: Spec, seed: int) -> None:
    x = torch.rand(90, *spec.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    write_samples(out, x, torch.arange(90) % 3 if spec.classes else None, spec)


def moving(out: Path, spec: Spec, seed: int) -> None:
    write_animation(out, grids(torch.rand(3, 9, 1, 8, 8, generator=torch.Generator().manual_seed(seed))))


WAYS = {
    "grid.png": (still, IMAGES),
    "images.npz": (still, IMAGES),
    "pictures": (still, IMAGES),
    "points.npz": (still, POINTS),
    "rows.csv": (still, ROWS),
    "rows.npz": (still, ROWS),
    "loop.gif": (moving, IMAGES),
    "loop.apng": (moving, IMAGES),
    "loop.png": (moving, IMAGES),
    "frames": (moving, IMAGES),
}


@pytest.mark.parametrize("name", WAYS)
def test_samples_replace_the_old_ones_whole_or_not_at_all(tmp_path, name):
    (write, spec), out = WAYS[name], tmp_path / "new" / name
    with limited_files(100), pytest.raises(OSError, match="File too large") as fault:
        write(out, spec, 0)
    assert fault.value.filename == str(out)
    assert not out.exists()
    write(out, spec, 0)
    first = contents(tmp_path)
    with limited_files(100), pytest.raises(OSError, match="File too large"):
        write(out, spec, 1)
    assert contents(tmp_path) == first
    write(out, spec, 1)
    second = contents(tmp_path)
    assert second.keys() == first.keys()  # no part is left
    assert second != first
    write(out, spec, 0)
    assert contents(tmp_path) == first  # the same samples are the same bytes


def test_a_folder_of_samples_keeps_what_else_is_in_it(tmp_path):
    out = tmp_path / "v1.2"  # a folder, though its name has a suffix
    out.mkdir()
    (out / "mine.txt").write_text("stays")
    still(out, IMAGES, 0)
    assert (out / "mine.txt").read_text() == "stays"
    assert len(list(out.glob("*-class1.png"))) == 30
    assert len(list(out.iterdir())) == 91


def test_samples_of_each_kind_read_back(tmp_path):
    for name, (write, spec) in WAYS.items():
        write(tmp_path / name, spec, 0)
    assert np.load(tmp_path / "images.npz")["x"].shape == (90, 8, 8, 1)
    assert np.load(tmp_path / "rows.npz")["columns"].tolist() == ["a", "b"]
    assert (tmp_path / "rows.csv").read_text().startswith("a,b\n")
    for name in ("loop.gif", "loop.apng", "loop.png"):
        with Image.open(tmp_path / name) as image:
            assert image.n_frames == 3, name
