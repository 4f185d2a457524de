"""Sharpness is 1 for data, the square of contrast, less for blur, and more for noise by its exact share."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from run_of import run_of
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pad

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.metrics.base import Evaluation
from gantrain.metrics.sharpness import Sharpness, sharpness
from gantrain.metrics.suite import Suite


@pytest.fixture(scope="module")
def digits() -> Data:
    return Digits().load(0)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def evaluation(data: Data, change) -> Evaluation:
    cpu = torch.device("cpu")
    made = Evaluation(data=data, suite=Suite(n=300), device=cpu, seed=0)
    return replace(made, substitute=(change(made.real[0]), None))


def read(data: Data, change) -> float:
    with torch.inference_mode():
        return Sharpness()(evaluation(data, change))["fidelity/sharpness"]


def test_data_are_as_sharp_as_themselves(digits):
    assert read(digits, lambda x: x) == 1
    assert read(digits, lambda x: x.flip(3)) == pytest.approx(1, rel=1e-12)
    assert read(digits, lambda x: x.mT) == pytest.approx(1, rel=1e-12)
    other = digits.train.take(torch.arange(300))[0]
    assert read(digits, lambda _: other) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("s", [0.5, 0.9, 2.0])
def test_contrast_counts_as_its_square_and_brightness_not_at_all(digits, s):
    assert read(digits, lambda x: s * x.double() + 0.7) == pytest.approx(s * s, rel=1e-9)


def test_a_box_blur_reads_well_below_1(digits):
    def blur(x: Tensor) -> Tensor:
        return avg_pool2d(pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)

    once, twice = read(digits, blur), read(digits, lambda x: blur(blur(x)))
    assert 0 < twice < once < 0.2
    assert read(digits, lambda x: x.mean(0, keepdim=True).expand_as(x)) < 0.5  # the average digit


def test_added_noise_reads_above_1_by_its_own_laplacian():
    """White noise of variance v adds 4 v + 16 v to the variance of the Laplacian."""
    x = draw(200, 3, 32, 32).cumsum(2).cumsum(3) / 10
    noise = 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    data = Data(Spec((3, 32, 32)), Split(x), Split(x))
    expected = 1 + 20 * 0.09 / sharpness(x)
    assert expected > 1.5
    assert sharpness(x + noise) / sharpness(x) == pytest.approx(expected, rel=0.01)
    assert sharpness(noise) == pytest.approx(20 * 0.09, rel=0.01)
    assert read(data, lambda held: held + 0.3 * draw(*held.shape)) > 1.5


def test_planes_have_no_edges_and_a_chessboard_has_the_most():
    i, j = torch.meshgrid(torch.arange(8.0), torch.arange(10.0), indexing="ij")
    plane = (2 * i - 3 * j + 1).expand(2, 1, 8, 10)
    board = ((-1) ** (i + j)).expand(2, 3, 8, 10)
    assert sharpness(plane) == 0
    assert sharpness(board) == 64  # +8 and -8 in equal number
    assert sharpness(1e3 + board) == 64


@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (4, 3, 9, 17), (2, 4, 4, 4)])
def test_it_is_the_convolution_with_the_laplacians_kernel(shape):
    x = draw(*shape).double()
    weights = torch.tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0.0]], dtype=torch.float64)[None, None]
    edges = conv2d(x.reshape(-1, 1, *shape[2:]), weights)
    spread = (edges - edges.mean((1, 2, 3), keepdim=True)).square().mean()
    assert sharpness(x) == pytest.approx(float(spread), rel=1e-12)


def test_points_and_flat_images_are_refused_with_a_reason(digits):
    points = Split(draw(9, 2))
    assert Sharpness().why_unsupported(run_of(digits, False)) is None
    assert "images" in Sharpness().why_unsupported(run_of(Data(Spec((2,)), points, points), False))
    tiny = Split(draw(9, 1, 3, 8))
    assert "4x4" in Sharpness().why_unsupported(run_of(Data(Spec((1, 3, 8)), tiny, tiny), False))
    colours = Split(draw(9, 3, 1, 1).expand(9, 3, 8, 8).contiguous())
    assert "flat" in Sharpness().why_unsupported(run_of(Data(Spec((3, 8, 8)), colours, colours), False))


def test_flat_images_by_chance_give_no_number(digits):
    flat = Data(digits.spec, digits.train, Split(torch.zeros(9, 1, 8, 8, dtype=torch.uint8)))
    with torch.inference_mode():
        assert Sharpness()(evaluation(flat, lambda x: x)) == {}
