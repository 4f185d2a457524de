"""Animations show what G makes of each latent, and what cannot be animated is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from gantrain.cli.arguments import checkpoint_and_words
from gantrain.cli.main import main
from gantrain.sampling import generate
from gantrain.sampling.animation import FRAME_MS, clouds
from gantrain.sampling.generate import draw
from gantrain.sampling.images import (
    grid,
    to_uint8,
)
from gantrain.sampling.latents import interpolation_loop
from gantrain.training.restore import load_generator


def pixels(image: Image.Image) -> np.ndarray:
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


# The command ---------------------------------------------------------------------------------------------------

TRAINED = {
    "images": "objective=conditional model.width=4",
    "points": "dataset=ring dataset.n=300",
    "dropout": "dataset=ring dataset.n=300 model.source=dropout",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    for name, words in TRAINED.items():
        quiet = "debug=tiny train.steps=1 metric=none train.sample_every=0"
        assert main([*words.split(), *quiet.split(), f"run.dir={folder / name}"]) == 0
    return folder


def frames(path: Path) -> list[np.ndarray]:
    """The frames of an animation, or of a folder of them, as grey values or RGB."""
    if path.is_dir():
        return [np.asarray(Image.open(file)) for file in sorted(path.iterdir())]
    image = Image.open(path)
    assert image.info["loop"] == 0  # without end
    shown = []
    for frame in ImageSequence.Iterator(image):
        assert frame.info["duration"] == FRAME_MS
        shown.append(np.asarray(frame.convert("L")))
    return shown


@pytest.mark.parametrize("out", ["a.gif", "a.png", "a.apng", "new/folder"])
def test_animation_shows_each_latent_and_keeps_classes(out, runs, run_cli, tmp_path):
    words = ["sample", runs / "images", "n=5", "seed=4", "classes=[3,7]", "interpolate=3", "frames=9"]
    assert run_cli(*words, f"out={out}") == (0, f"{out}\n", "")
    _, _, G = load_generator(checkpoint_and_words("sample", [str(runs / "images")])[0])
    y = torch.tensor([3, 7, 3, 7, 3])
    expected = [
        pixels(grid(generate.generate(G, z, y, torch.device("cpu")), 3))[:, :, 0]
        for z in interpolation_loop(G, 5, 4, 3, 9)
    ]
    shown = frames(tmp_path / out)
    assert len(shown) == 9
    assert all(np.array_equal(a, b) for a, b in zip(shown, expected, strict=True))
    assert len({frame.tobytes() for frame in shown}) == 9
    assert run_cli(*words, f"out=again-{out}")[0] == 0
    first, again = tmp_path / out, tmp_path / f"again-{out}"
    files = [(a, again / a.name) for a in sorted(first.iterdir())] if first.is_dir() else [(first, again)]
    assert all(a.read_bytes() == b.read_bytes() for a, b in files)


def test_animation_has_a_cell_a_class_and_is_in_the_run(runs, run_cli):
    code, out, err = run_cli("sample", runs / "images", "interpolate=2", "truncation=0.7")
    assert (code, err) == (0, "")
    path = Path(out.strip())
    assert path == runs / "images" / "samples" / "sample-000001-seed0-truncation0.7-interpolate2.gif"
    shown = frames(path)
    assert len(shown) == 32
    assert shown[0].shape == (3 * 34 + 2, 4 * 34 + 2)  # ten cells of 32 pixels
    _, _, G = load_generator(checkpoint_and_words("sample", [str(runs / "images")])[0])
    stills, _ = draw(G, 10, 0, torch.arange(10), torch.device("cpu"), truncation=0.7)
    assert np.array_equal(shown[0], pixels(grid(stills, 4))[:, :, 0])


def test_points_wander_through_the_plane(runs, run_cli, tmp_path):
    assert run_cli("sample", runs / "points", "interpolate=3", "frames=4", "out=a.png")[0] == 0
    assert run_cli("sample", runs / "points", "interpolate=3", "frames=4", "out=b.png")[0] == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert len({frame.tobytes() for frame in frames(tmp_path / "a.png")}) == 4


def test_cloud_is_at_its_points_and_the_axes_stand_still():
    square = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    corner = square[1:2].expand(4, 2)  # all of them in the upper right one
    first, second = (np.asarray(picture).astype(int) for picture in clouds([square, corner], None))
    blue = [(picture[..., 2] - picture[..., 0] > 60) for picture in (first, second)]
    rows, columns = np.nonzero(blue[0])
    middle = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    assert blue[1].any()
    rows, columns = np.nonzero(blue[1])
    assert (rows < middle[0]).all()
    assert (columns > middle[1]).all()
    assert np.array_equal(first[-30:], second[-30:])  # the axis and its numbers
    one = next(
        clouds([torch.zeros(3, 2)], torch.tensor([0, 1, 1]))
    )  # a plane around a single point, of two colours
    assert one.mode == "RGB"


def test_a_stray_point_does_not_make_the_others_small():
    crowd = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0))
    stray = torch.cat([crowd, torch.full((2, 2), 1e4)])
    alone, beside = (np.asarray(next(clouds([x], None))).astype(int) for x in (crowd, stray))
    blue = [(shown[..., 2] - shown[..., 0] > 60).sum() for shown in (alone, beside)]
    assert blue[1] == pytest.approx(blue[0], rel=0.1)


@pytest.mark.parametrize("name", ["images", "points"])
def test_truncated_samples_are_written_as_drawn(name, runs, run_cli, tmp_path):
    assert run_cli("sample", runs / name, "n=6", "truncation=0.3", "out=x.npz")[0] == 0
    _, spec, G = load_generator(checkpoint_and_words("sample", [str(runs / name)])[0])
    asked = spec.conditions() if name == "images" else None
    x, _ = draw(G, 6, 0, asked, torch.device("cpu"), 0.3)
    whole, _ = draw(G, 6, 0, asked, torch.device("cpu"))
    assert np.array_equal(np.load(tmp_path / "x.npz")["x"], (to_uint8(x) if spec.is_image else x).numpy())
    assert not torch.equal(x, whole)


@pytest.mark.parametrize(
    ("command", "where"),
    [
        ("images interpolate=3 frames=2", "frames"),
        ("images frames=20", "frames"),
        ("images interpolate=1", "interpolate"),
        ("images interpolate=3 out=new/x.npz", "out"),
        ("images interpolate=3 out=new/x.mp4", "out"),
        ("images truncation=0", "truncation"),
        ("images truncation=.nan", "truncation"),
        ("points interpolate=3 out=new/x.npz", "out"),
        ("dropout interpolate=3 out=new/x.gif", "interpolate"),
        ("dropout truncation=0.7 out=new/x.npz", "truncation"),
    ],
)
def test_animation_refuses_what_does_not_fit_in_one_line(command, where, runs, run_cli, tmp_path):
    run, *words = command.split()
    before = sorted(runs.rglob("*"))
    code, out, err = run_cli("sample", runs / run, *words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"gantrain: error: {where}:")
    assert not list(tmp_path.iterdir())
    assert sorted(runs.rglob("*")) == before
