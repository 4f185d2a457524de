"""Grids put every pixel where it belongs, nearest neighbours are the nearest, and the same seed draws the same."""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from scipy import stats
from torch import nn

from gantrain.cli.arguments import checkpoint_and_words
from gantrain.cli.main import main
from gantrain.core.random import stream
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.errors import ConfigError
from gantrain.metrics.nearest import nearest
from gantrain.models.base import Generator
from gantrain.models.dcgan import DCGAN
from gantrain.models.mlp import MLP
from gantrain.sampling import generate
from gantrain.sampling.animation import FRAME_MS, clouds
from gantrain.sampling.generate import draw
from gantrain.sampling.images import (
    encode,
    grid,
    landscape,
    nearest_pairs,
    sort_by_condition,
    to_image,
    to_uint8,
)
from gantrain.sampling.latents import interpolation_loop, latents, slerp, truncated
from gantrain.training.restore import load_generator


def pixels(image: Image.Image) -> np.ndarray:
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def test_the_ends_of_the_range_are_black_and_white():
    x = torch.tensor([-1.0, 0.0, 1.0, -7.0, 7.0, -1 + 0.4 / 127.5, 1 - 0.4 / 127.5]).reshape(1, 1, 1, 7)
    assert to_uint8(x).flatten().tolist() == [0, 128, 255, 0, 255, 0, 255]
    assert to_uint8(x).dtype == torch.uint8


def test_every_grey_level_survives_the_way_to_the_networks_and_back():
    levels = torch.arange(256).to(torch.uint8).reshape(1, 1, 16, 16)
    seen, _ = Split(levels).take(torch.arange(1))
    assert seen.min() == -1
    assert seen.max() == 1
    assert torch.equal(to_uint8(seen).permute(0, 3, 1, 2), levels)


def test_channels_go_last():
    x = torch.rand(2, 3, 4, 5) * 2 - 1
    assert to_uint8(x).shape == (2, 4, 5, 3)
    assert torch.equal(to_uint8(x)[1, 2, 3], to_uint8(x[1:, :, 2:3, 3:4]).flatten())


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("h", "w", "scale"), [(8, 8, 4), (8, 20, 4), (28, 28, 2), (31, 40, 2), (32, 32, 1), (33, 40, 1)]
)
@pytest.mark.parametrize(("count", "columns"), [(1, 1), (6, 3), (7, 3), (3, 8)])
def test_each_image_lies_in_its_cell_enlarged_by_whole_pixels(channels, h, w, scale, count, columns):
    x = torch.rand(count, channels, h, w, generator=torch.Generator().manual_seed(0)) * 2 - 1
    sheet = pixels(grid(x, columns))
    rows, tall, wide = -(-count // columns), h * scale + 2, w * scale + 2
    assert sheet.shape == (rows * tall + 2, columns * wide + 2, channels)
    assert min(h, w) * scale >= 32
    inside = np.zeros(sheet.shape[:2], bool)
    for i in range(count):
        top, left = i // columns * tall + 2, i % columns * wide + 2
        cell = sheet[top : top + h * scale, left : left + w * scale]
        for dy in range(scale):
            for dx in range(scale):
                assert np.array_equal(cell[dy::scale, dx::scale], to_uint8(x[i : i + 1])[0].numpy())
        inside[top : top + h * scale, left : left + w * scale] = True
    assert not sheet[~inside].any()  # frame and empty cells are black


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_holds_exactly_the_pixels(channels):
    x = torch.rand(5, channels, 9, 11) * 2 - 1
    image = grid(x, 2)
    picture = encode(image)
    read = Image.open(io.BytesIO(picture.png))
    assert read.size == picture.size == image.size
    assert read.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    assert np.array_equal(pixels(read), pixels(image))
    assert np.array_equal(pixels(to_image(to_uint8(x)[0].numpy())), to_uint8(x)[0].numpy())


def test_a_row_of_the_grid_is_one_class_in_the_order_drawn():
    y, x = torch.arange(80) % 10, torch.arange(80).float()
    rows = torch.eye(10)[torch.tensor([7, 2, 9, 4, 0, 5, 1, 3, 6, 8])][
        y
    ]  # a condition of ten numbers, ten of them
    for asked in (y, rows):
        ordered = sort_by_condition(x, asked).reshape(-1, 8)
        assert torch.equal(ordered % 10, torch.arange(10.0)[:, None].expand(10, 8))
        assert (ordered.diff(dim=1) > 0).all()
    assert torch.equal(sort_by_condition(x, None), x)


@pytest.mark.parametrize("train_size", [1, 37, 250])
def test_the_nearest_is_that_of_brute_force(train_size, monkeypatch):
    draws = torch.Generator().manual_seed(train_size)
    train = Split(torch.randint(0, 256, (train_size, 1, 6, 7), generator=draws).to(torch.uint8))
    x = torch.rand(40, 1, 6, 7, generator=draws) * 2 - 1
    every, _ = train.take(torch.arange(train_size))
    squared = (x.double()[:, None] - every.double()[None]).flatten(2).square().sum(2)
    assert torch.equal(nearest(x, train)[1], squared.argmin(1))


def test_a_copy_is_found_among_images_that_differ_in_one_grey_level_of_one_pixel():
    images = torch.randint(0, 256, (100, 1, 28, 28), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )
    near = images.clone()
    near[:, 0, 3, 4] ^= 1
    train = Split(torch.cat([images, near]))
    copies, _ = train.take(torch.arange(200))
    assert torch.equal(nearest(copies, train)[1], torch.arange(200))


def test_the_nearest_is_found_in_every_part_of_a_large_set():
    train = Split(torch.arange(25_000.0).reshape(-1, 1))  # more than two of the parts it is searched in
    x = torch.tensor([[3.2], [9_999.6], [10_000.4], [19_999.9], [24_990.1], [1e6], [-5.0]])
    assert nearest(x, train)[1].tolist() == [3, 10_000, 10_000, 20_000, 24_990, 24_999, 0]


@pytest.mark.parametrize("count", [3, 8, 11])
def test_under_each_row_of_samples_lie_their_nearest(count):
    train = Split(
        torch.randint(0, 256, (50, 1, 32, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    )
    copies, _ = train.take(torch.arange(count))
    sheet = pixels(nearest_pairs(copies, train, columns=8))[:, :, 0]
    shown = to_uint8(copies)[..., 0].numpy()
    cells = [
        sheet[r * 34 + 2 : r * 34 + 34, c * 34 + 2 : c * 34 + 34]
        for r in range((sheet.shape[0] - 2) // 34)
        for c in range(8)
    ]
    shown_cells = [cell for cell in cells if cell.any()]
    expected = [
        *shown[:8],
        *shown[:8],
        *shown[8:],
        *shown[8:],
    ]  # rows of samples and of their nearest alternate
    assert len(shown_cells) == len(expected)
    assert all(np.array_equal(a, b) for a, b in zip(shown_cells, expected, strict=True))


SPECS = {
    "images": (DCGAN(width=4, z_dim=5), Spec((1, 8, 8), classes=10)),
    "conditional images": (DCGAN(width=4, z_dim=5, condition="concat"), Spec((3, 9, 12), classes=4)),
    "points": (MLP(width=8), Spec((2,))),
    "conditional points": (MLP(width=8, condition="concat"), Spec((2,), classes=3)),
}


@pytest.mark.parametrize("case", SPECS)
def test_samples_are_a_function_of_the_seed_whatever_is_drawn_around_them(case, monkeypatch):
    model, spec = SPECS[case]
    torch.manual_seed(0)
    G, _ = model.build(spec)
    cpu, asked = torch.device("cpu"), spec.conditions() if model.is_conditional else None
    x, y = draw(G, 50, 7, asked, cpu)
    torch.rand(3)
    state = torch.get_rng_state()
    again, labels = draw(G, 50, 7, asked, cpu)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, again)
    assert x.shape == (50, *spec.shape)
    assert x.dtype == torch.float32
    assert (y is None) == (labels is None) == (not model.is_conditional)
    if y is not None:
        assert torch.equal(y, torch.arange(50) % spec.classes)
    other, _ = draw(G, 50, 8, asked, cpu)
    assert (other - x).flatten(1).abs().amax(1).min() > 0  # each sample is another one
    monkeypatch.setattr(generate, "CHUNK", 7)
    chunked, _ = draw(G, 50, 7, asked, cpu)
    torch.testing.assert_close(chunked, x, rtol=1e-5, atol=1e-6)


def test_the_classes_asked_for_are_repeated_in_turn_and_obeyed():
    model, spec = SPECS["conditional images"]
    torch.manual_seed(0)
    G, _ = model.build(spec)
    x, y = draw(G, 7, 0, torch.tensor([3, 1]), torch.device("cpu"))
    assert y.tolist() == [3, 1, 3, 1, 3, 1, 3]
    z = G.latents(7, stream(0, 0, "sample"))
    assert torch.equal(x, G(z, y).detach())
    flipped, _ = draw(G, 7, 0, torch.tensor([1, 3]), torch.device("cpu"))
    assert (flipped != x).flatten(1).any(1).all()


class Dropping(Generator):
    """A generator that shows whether it is in train mode."""

    def __init__(self):
        super().__init__(MLP(), [])
        self.drop = nn.Dropout(0.5)

    def forward(self, z, y=None):
        return self.drop(torch.ones(len(z), 2))


def test_samples_are_drawn_in_eval_mode_and_carry_no_graph():
    x, _ = draw(Dropping().train(), 100, 0, None, torch.device("cpu"))
    assert torch.equal(x, torch.ones(100, 2))
    assert not x.requires_grad


POINTS = {
    "usual": torch.randn(50, 2, generator=torch.Generator().manual_seed(0)),
    "one point": torch.ones(1, 2),
    "all equal": torch.full((9, 2), 3.0),
    "all equal and far away": torch.full((9, 2), -1e30),
    "all zero": torch.zeros(9, 2),
    "a line": torch.tensor([[0.0, 0.0], [0.0, 1.0]]),
    "tiny": torch.rand(9, 2, generator=torch.Generator().manual_seed(0)) * 1e-30,
}
SAMPLES = {
    "usual": torch.randn(20, 2),
    "nan": torch.full((3, 2), torch.nan),
    "inf": torch.full((3, 2), torch.inf),
}


@pytest.mark.parametrize(
    ("points", "fake"), [*((p, "usual") for p in POINTS), ("usual", "nan"), ("usual", "inf")]
)
def test_a_landscape_is_drawn_of_whatever_comes_without_a_warning(points, fake):
    data = Data(Spec((2,)), Split(POINTS[points]), Split(POINTS[points]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert landscape(SAMPLES[fake], data, lambda at: at.sum(1), "step 1").mode == "RGB"


def test_a_landscape_is_drawn_of_a_d_that_knows_nothing():
    data = Data(Spec((2,)), Split(POINTS["usual"]), Split(POINTS["usual"]))
    usual = landscape(SAMPLES["usual"], data, lambda at: at.sum(1), "")
    assert landscape(SAMPLES["usual"], data, lambda at: at.sum(1) * torch.nan, "").size == usual.size


def test_the_landscape_shows_where_d_believes_data_to_be():
    """Blue is real and red is fake, left where D says so, and up where D says so."""
    corners = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    data = Data(Spec((2,)), Split(corners), Split(corners))
    for axis, ahead in ((0, (slice(200, 280), slice(300, 350))), (1, (slice(60, 90), slice(150, 250)))):
        behind = {0: (slice(200, 280), slice(80, 130)), 1: (slice(390, 420), slice(150, 250))}[axis]
        shown = pixels(landscape(torch.zeros(1, 2), data, lambda at, axis=axis: 20 * at[:, axis], "")).astype(
            int
        )
        blue = shown[..., 2] - shown[..., 0]
        assert blue[ahead].mean() > 20
        assert blue[behind].mean() < -20


# Latents cut short ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [1e-3, 0.1, 0.7, 1.0, 2.0, 3.5])
def test_truncated_numbers_have_the_truncated_normal_law(threshold):
    z = truncated(torch.randn(200_000, generator=torch.Generator().manual_seed(0)), threshold).double()
    assert z.abs().max() <= threshold
    density = math.exp(-0.5 * threshold**2) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * threshold * density / math.erf(threshold / math.sqrt(2))
    if threshold > 0.05:  # below, the closed form loses its digits, and the law is uniform
        assert float(z.var()) == pytest.approx(variance, rel=0.02)
    else:
        assert float(z.var()) == pytest.approx(threshold**2 / 3, rel=0.02)
    assert abs(float(z.mean())) < 5 * float(z.std()) / math.sqrt(200_000)
    assert stats.kstest(z.numpy(), stats.truncnorm(-threshold, threshold).cdf).pvalue > 1e-3


def test_truncated_numbers_have_the_law_of_drawing_again_what_is_beyond():
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(1))
    assert stats.ks_2samp(truncated(z[:100_000], 0.7).numpy(), z[z.abs() <= 0.7].numpy()).pvalue > 1e-3
    assert stats.ks_2samp(z[:100_000].numpy(), z[z.abs() <= 0.7].numpy()).pvalue < 1e-6  # which would show


def test_truncation_keeps_the_order_and_a_far_threshold_changes_nothing():
    z = torch.cat([torch.linspace(-9, 9, 2001), torch.tensor([0.0, -0.0, 40.0, -40.0])])
    for threshold in (0.01, 0.7, 3.0, 10.0):
        cut = truncated(z, threshold)
        assert (cut[:2001].diff() >= 0).all()
        assert torch.equal(cut, -truncated(-z, threshold))
        assert (cut.abs() <= z.abs()).all()
        assert cut.abs().max() <= threshold
    torch.testing.assert_close(truncated(z[:-2], 1e9), z[:-2], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("source", ["z", "both"])
def test_truncation_reaches_z_and_leaves_masks_alone(source):
    G = MLP(width=8, z_dim=6, source=source).generator(Spec((2,)))
    plain, cut = latents(G, 500, 3), latents(G, 500, 3, truncation=0.5)
    assert plain[:, :6].abs().max() > 2
    assert torch.equal(cut[:, :6], truncated(plain[:, :6], 0.5))
    assert torch.equal(cut[:, 6:], plain[:, 6:])
    assert plain.shape[1] == (6 if source == "z" else 30)
    drawn, _ = draw(G, 500, 3, None, torch.device("cpu"), truncation=0.5)
    assert torch.equal(drawn, G(cut).detach())


def test_where_dropout_is_the_only_source_there_is_nothing_to_truncate_or_to_walk_through():
    G = MLP(width=8, source="dropout").generator(Spec((2,)))
    with pytest.raises(ConfigError, match=r"^truncation: .*dropout"):
        latents(G, 5, 0, truncation=0.5)
    with pytest.raises(ConfigError, match=r"^interpolate: .*dropout"):
        interpolation_loop(G, 5, 0, 3, 30)


@pytest.mark.parametrize("truncation", [None, 0.7])
def test_the_first_samples_of_many_are_those_of_few(truncation):
    G = MLP(width=8, z_dim=16).generator(Spec((2,)))
    many = latents(G, 100, 0, truncation)
    for k in (1, 7, 99):
        assert torch.equal(latents(G, k, 0, truncation), many[:k])


# From one latent to the next -----------------------------------------------------------------------------------


def angle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.acos(nn.functional.cosine_similarity(a.double(), b.double()).clamp(-1, 1))


@pytest.mark.parametrize("d", [2, 3, 64])
def test_an_arc_is_walked_at_one_pace_and_keeps_the_norm(d):
    draws = torch.Generator().manual_seed(d)
    a, b = (nn.functional.normalize(torch.randn(50, d, generator=draws)) * 3 for _ in range(2))
    assert torch.equal(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)
    for t in (0.1, 0.5, 0.83):
        at = slerp(a, b, t)
        torch.testing.assert_close(at.norm(dim=1), torch.full((50,), 3.0), rtol=1e-4, atol=0)
        torch.testing.assert_close(angle(a, at), t * angle(a, b), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(angle(at, b), (1 - t) * angle(a, b), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(at, slerp(b, a, 1 - t), rtol=1e-5, atol=1e-5)


def test_the_way_between_normal_draws_stays_among_normal_draws():
    """Half-way on a straight line the variance would be 1/2."""
    a, b = torch.randn(2, 500, 64, generator=torch.Generator().manual_seed(0))
    for t in (0.25, 0.5, 0.75):
        assert float(slerp(a, b, t).var()) == pytest.approx(1, abs=0.03)


def test_rows_on_one_line_are_joined_by_a_straight_line():
    a = torch.tensor([[1.0], [1.0], [2.0], [0.0], [0.0]])
    b = torch.tensor([[3.0], [-3.0], [2.0], [1.0], [0.0]])
    assert torch.equal(slerp(a, b, 0.25), torch.lerp(a, b, 0.25))
    row = torch.randn(1, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(slerp(row, 2 * row, 0.5), 1.5 * row)
    torch.testing.assert_close(slerp(row, -row, 0.25), 0.5 * row, rtol=1e-5, atol=1e-6)


def test_a_loop_goes_through_every_set_on_arcs_and_closes():
    G = MLP(width=8, z_dim=16, source="both").generator(Spec((2,)))
    at = list(interpolation_loop(G, 5, 9, count=3, frames=12))
    assert len(at) == 12
    for turn in range(3):
        assert torch.equal(at[4 * turn][:, :16], latents(G, 5, 9, index=turn)[:, :16])
    assert torch.equal(at[0], latents(G, 5, 9))  # where the stills of the seed are
    assert all(torch.equal(z[:, 16:], at[0][:, 16:]) for z in at)
    z = torch.stack(at)[:, :, :16]
    for i in range(12):
        first, last = z[i // 4 * 4], z[(i // 4 * 4 + 4) % 12]
        assert torch.equal(z[i], slerp(first, last, i % 4 / 4))
    uneven = list(interpolation_loop(G, 5, 9, count=3, frames=7))
    assert len(uneven) == 7
    torch.testing.assert_close(uneven[1][:, :16], slerp(z[0], z[4], 3 / 7))


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
def test_an_animation_shows_what_g_makes_of_each_latent_and_each_cell_keeps_its_class(
    out, runs, run_cli, tmp_path
):
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


def test_by_default_a_loop_has_a_cell_for_each_class_and_lies_in_the_run(runs, run_cli):
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


def test_a_cloud_is_where_its_points_are_and_the_plane_stands_still():
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
def test_what_cannot_be_animated_or_truncated_is_one_line_and_writes_nothing(
    command, where, runs, run_cli, tmp_path
):
    run, *words = command.split()
    before = sorted(runs.rglob("*"))
    code, out, err = run_cli("sample", runs / run, *words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"gantrain: error: {where}:")
    assert not list(tmp_path.iterdir())
    assert sorted(runs.rglob("*")) == before
