"""Random convolutions are the same function for everybody, of images of any size and any channels."""

from __future__ import annotations

import hashlib

import pytest
import torch

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.features.base import Extractor
from gantrain.features.random import Random


def extractor(*shape: int) -> Extractor:
    x = torch.zeros(2, *shape)
    return Random().load(Data(Spec(shape), Split(x), Split(x)))


def draw(n: int, *shape: int) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 40, 20), (4, 3, 5), (1, 1, 1), (2, 256, 256)])
def test_random_features_of_any_images_have_128_dimensions(shape):
    found = extractor(*shape)(draw(3, *shape))
    assert found.shape == (3, 128) == (3, extractor(*shape).dimension)
    assert found.isfinite().all()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16)])
def test_random_features_differ_from_each_other(shape):
    with torch.inference_mode():
        assert torch.linalg.matrix_rank(extractor(*shape)(draw(300, *shape)).double()) > 120


def test_random_features_scale_with_the_image():
    """No layer adds a constant, so that f(2 x) = 2 f(x), bit for bit."""
    f, x = extractor(3, 16, 16), draw(5, 3, 16, 16)
    assert torch.equal(f(2 * x), 2 * f(x))
    assert (f(x) >= 0).all()


def test_random_filters_are_signs_with_a_stated_digest():
    first, again = extractor(3, 16, 16), extractor(3, 64, 64)
    content = b"".join(weight.detach().numpy().tobytes() for weight in first.parameters())
    assert first.protocol["sha256"] == again.protocol["sha256"] == hashlib.sha256(content).hexdigest()
    for weight in first.parameters():
        signs = weight.detach().sign()
        assert weight.detach().abs().unique().numel() == 1
        assert abs(float(signs.mean())) < 4 / weight.numel() ** 0.5
    assert extractor(1, 16, 16).protocol["sha256"] != first.protocol["sha256"]


def test_random_features_see_large_images_averaged():
    large, small = extractor(3, 64, 64), extractor(3, 32, 32)
    x = draw(2, 3, 32, 32)
    torch.testing.assert_close(large(x.repeat_interleave(2, 2).repeat_interleave(2, 3)), small(x))
    assert large.protocol["preprocessing"] == "averaged over areas to 32x32"
    assert small.protocol["preprocessing"] == "none"


def test_random_features_are_of_images_alone():
    assert Random().why_unsupported(Spec((2,))) == "they are features of images"
    assert Random().why_unsupported(Spec((2, 4, 4))) is None
