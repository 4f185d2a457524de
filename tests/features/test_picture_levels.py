"""What a network that knows photographs is shown of a sample."""

import numpy as np
import pytest
import torch
from PIL import Image

from gantrain.core.spec import Spec
from gantrain.features.tools.pictures import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    levels,
    resize,
    standardise,
    why_no_photographs,
)


def test_levels_are_those_of_a_file():
    bytes_ = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    x = bytes_.float() / 127.5 - 1
    assert levels(x).equal(bytes_.float().expand(1, 3, 16, 16))
    assert levels(x + 0.003).equal(levels(x))  # rounded, as a file is
    assert levels(torch.tensor([-1.5, 1.5]).view(1, 1, 1, 2))[0, 0, 0].tolist() == [0, 255]
    colours = torch.rand(2, 3, 4, 5) * 2 - 1
    assert levels(colours).shape == colours.shape


@pytest.mark.parametrize("size", [(28, 28), (64, 48), (300, 200), (128, 128)])
def test_resizing_is_that_of_pillow_on_floats(size):
    x = torch.randint(0, 256, (2, 3, *size)).float()
    expected = [
        [
            Image.fromarray(channel.numpy(), "F").resize((128, 128), Image.Resampling.BICUBIC)
            for channel in image
        ]
        for image in x
    ]
    clipped = np.array([[np.asarray(channel) for channel in image] for image in expected]).clip(0, 255)
    assert np.abs(resize(x, 128).numpy() - clipped).max() < 3e-3


def test_standardised_colours_have_mean_0():
    mean, std = (torch.tensor(colours).view(1, 3, 1, 1) for colours in (IMAGENET_MEAN, IMAGENET_STD))
    x = torch.cat([255 * mean, 255 * (mean + std)])
    found = standardise(x, IMAGENET_MEAN, IMAGENET_STD).flatten(1)
    torch.testing.assert_close(found, torch.tensor([[0.0] * 3, [1.0] * 3]), atol=1e-5, rtol=0)


def test_photographs_are_grey_or_coloured():
    assert why_no_photographs(Spec((1, 8, 8))) is None
    assert why_no_photographs(Spec((3, 8, 12))) is None
    assert "have 2 channels" in why_no_photographs(Spec((2, 8, 8)))
    assert "have 4 channels" in why_no_photographs(Spec((4, 8, 8)))
    assert "not images" in why_no_photographs(Spec((2,)))
