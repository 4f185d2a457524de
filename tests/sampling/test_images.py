"""Grids put every pixel where it belongs, nearest neighbours are the nearest, a landscape shows what D believes."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.metrics.nearest import nearest
from gantrain.sampling.images import (
    Landscape,
    encode,
    grid,
    nearest_pairs,
    point_cloud,
    sort_by_condition,
    to_image,
    to_uint8,
)


def pixels(image: Image.Image) -> np.ndarray:
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def test_the_ends_of_the_range_are_black_and_white():
    x = torch.tensor([-1.0, 0.0, 1.0, -7.0, 7.0, -1 + 0.4 / 127.5, 1 - 0.4 / 127.5]).reshape(1, 1, 1, 7)
    assert to_uint8(x).flatten().tolist() == [0, 128, 255, 0, 255, 0, 255]
    assert to_uint8(x).dtype == torch.uint8


def test_grey_levels_survive_the_way_to_the_networks_and_back():
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
    read = Image.open(io.BytesIO(encode(image)))
    assert read.size == image.size
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


def test_nearest_tells_a_copy_from_one_grey_level_off():
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
def test_landscape_of_any_samples_gives_no_warning(points, fake):
    data = Data(Spec((2,)), Split(POINTS[points]), Split(POINTS[points]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for limits in ((0.0, 1.0), None):
            landscape = Landscape(lambda at: at.sum(1), "D(x)", limits)
            assert point_cloud(SAMPLES[fake], data, "step 1", landscape=landscape).mode == "RGB"


def test_a_landscape_is_drawn_of_a_d_that_knows_nothing():
    data = Data(Spec((2,)), Split(POINTS["usual"]), Split(POINTS["usual"]))
    unknown = Landscape(lambda at: at.sum(1) * torch.nan, "D(x)")
    assert point_cloud(SAMPLES["usual"], data, "", landscape=unknown).mode == "RGB"


LANDSCAPES = {
    "probability": Landscape(lambda at: torch.sigmoid(20 * at[:, 0]), "", (0.0, 1.0)),
    "logit": Landscape(lambda at: 20 * at[:, 0], ""),
    "free offset": Landscape(lambda at: 500 + 20 * at[:, 0], "", middle=None),
}


@pytest.mark.parametrize("kind", LANDSCAPES)
@pytest.mark.parametrize("axis", [0, 1])
def test_the_landscape_shows_where_d_believes_data_to_be(kind, axis):
    """Blue is real and red is fake, right where D says so, and up where D says so."""
    corners = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    data = Data(Spec((2,)), Split(corners), Split(corners))
    turned = replace(LANDSCAPES[kind], D=lambda at: LANDSCAPES[kind].D(at.roll(axis, 1)))
    ahead = (slice(200, 280), slice(300, 350)), (slice(60, 90), slice(150, 250))
    behind = (slice(200, 280), slice(80, 130)), (slice(390, 420), slice(150, 250))
    shown = pixels(point_cloud(torch.zeros(1, 2), data, "", landscape=turned)).astype(int)
    blue = shown[..., 2] - shown[..., 0]
    assert blue[ahead[axis]].mean() > 20
    assert blue[behind[axis]].mean() < -20


def test_white_is_chance_where_there_is_one():
    values = torch.tensor([1.0, 2.0, 3.0, torch.nan])
    assert Landscape(len, "", (0.0, 1.0)).range(values) == (0.0, 1.0)
    low, high = Landscape(len, "").range(values)
    assert low == -high == pytest.approx(-2.98)
    assert Landscape(len, "", middle=None).range(values) == pytest.approx((1.02, 2.98))
    assert Landscape(len, "", middle=None).range(torch.full((4,), 7.0)) == (6.0, 8.0)
