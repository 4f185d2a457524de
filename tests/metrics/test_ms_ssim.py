"""MS-SSIM is that of the reference package, 1 for equal images, and sees what varies within a class."""

from __future__ import annotations

import pytest
import torch
from pytorch_msssim import ms_ssim as reference
from run_of import run_of

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.metrics.evaluation import Evaluation
from gantrain.metrics.ms_ssim import WEIGHTS, MsSsim, ms_ssim, pairs_of_fakes, scales_of
from gantrain.metrics.suite import Suite


def images(n: int, *shape: int, seed: int = 0) -> torch.Tensor:
    """Return smooth random images in [-1, 1]."""
    draws = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, shape[0], 7, 7, generator=draws)
    return torch.nn.functional.interpolate(coarse, shape[1:], mode="bicubic").clamp(0, 1) * 2 - 1


@pytest.mark.parametrize(
    ("shape", "scales", "window"),
    [((1, 161, 161), 5, 11), ((3, 176, 165), 5, 11), ((1, 160, 170), 4, 11), ((3, 64, 64), 3, 11), ((1, 28, 28), 2, 11),
     ((1, 33, 21), 2, 11), ((3, 11, 11), 1, 11), ((1, 8, 8), 1, 7), ((1, 7, 9), 1, 7), ((1, 2, 2), 1, 1)],
)  # fmt: skip
def test_ms_ssim_is_that_of_the_reference_package(shape, scales, window):
    a = images(4, *shape)
    b = 0.7 * a + 0.3 * images(4, *shape, seed=1)
    assert scales_of(min(shape[1:])) == (scales, window)
    weights = torch.tensor(WEIGHTS[:scales], dtype=torch.float64)
    unit = [(x.double() + 1) / 2 for x in (a, b)]
    if scales == 5:
        expected = reference(*unit, data_range=1.0, size_average=False)
    else:  # the package refuses so small images
        expected = _by_scales(unit, weights / weights.sum(), window)
    assert ms_ssim(a, b).tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def _by_scales(unit, weights, window):
    """The product over scales of what the package computes at one scale."""
    from pytorch_msssim.ssim import _fspecial_gauss_1d, _ssim

    (x, y), c = unit, unit[0].shape[1]
    row = _fspecial_gauss_1d(window, 1.5).repeat([c] + [1] * 3)
    found = []
    for scale in range(len(weights)):
        whole, structure = _ssim(x, y, win=row, data_range=1.0, size_average=False)
        found.append(torch.relu(whole if scale == len(weights) - 1 else structure))
        padding = [size % 2 for size in x.shape[2:]]
        x, y = (torch.nn.functional.avg_pool2d(side, 2, padding=padding) for side in (x, y))
    return (torch.stack(found) ** weights.view(-1, 1, 1)).prod(0).mean(1)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (4, 64, 48)])
def test_ms_ssim_of_equal_images_is_1_and_symmetric(shape):
    a, b = images(3, *shape), images(3, *shape, seed=1)
    assert ms_ssim(a, a).tolist() == pytest.approx([1.0] * 3, abs=1e-12)
    assert ms_ssim(a, b).tolist() == pytest.approx(ms_ssim(b, a).tolist(), abs=1e-12)
    assert bool((ms_ssim(a, b) < 0.9).all())
    noise = torch.rand(3, *shape, generator=torch.Generator().manual_seed(2)) * 2 - 1
    assert bool((ms_ssim(a, noise) < ms_ssim(a, b) + 0.5).all())


def scene(x: torch.Tensor, y: torch.Tensor | None, conditional: bool = True) -> Evaluation:
    data = Data(Spec(tuple(x.shape[1:]), classes=10), Split(x, y), Split(x, y))
    cpu, suite = torch.device("cpu"), Suite(n=len(x))
    return Evaluation(data, suite, cpu, 0, conditional=conditional, substitute=(x, y))


def test_pairs_are_of_one_class_and_share_no_sample():
    y = torch.randint(7, (200,), generator=torch.Generator().manual_seed(0))
    pairs = pairs_of_fakes(scene(images(200, 1, 8, 8), y))
    assert len(pairs) == sum(int(count) // 2 for count in y.bincount())
    assert torch.equal(y[pairs[:, 0]], y[pairs[:, 1]])
    assert len(set(pairs.flatten().tolist())) == 2 * len(pairs)
    assert len(pairs_of_fakes(scene(images(200, 1, 8, 8), y, conditional=False))) == 100


def test_ms_ssim_of_digits_sees_classes_and_collapse():
    digits = Digits().load(0)
    x, y = digits.train.take(torch.arange(600))
    metric, tag = MsSsim(), "diversity/ms_ssim"
    with torch.inference_mode():
        of_classes, of_all = metric(scene(x, y))[tag], metric(scene(x, y, conditional=False))[tag]
        first = torch.stack([x[(y == kind).nonzero()[0, 0]] for kind in range(10)])
        collapsed = metric(scene(first[y], y))
        error = metric.errors(scene(x, y))[tag]
        protocol = metric.protocol(scene(x, y))
    assert of_all + 0.15 < of_classes < 0.9
    assert collapsed[tag] == pytest.approx(1.0, abs=1e-12)
    assert 0.005 < error < 0.03
    assert (protocol["scales"], protocol["window"], protocol["pairs"]) == (1, 7, of_classes.n)
    assert metric.why_unsupported(run_of(digits)) is None
    assert (
        metric.why_unsupported(run_of(Data(Spec((2,)), Split(x[:, 0, 0, :2]), Split(x[:, 0, 0, :2]))))
        is not None
    )
