"""Differentiable augmentation agrees with its authors' definitions."""

import pytest
import torch
from composed import composed

from gantrain.augment.diffaugment import DiffAugment, cut_out, recolour, shift
from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.errors import ConfigError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(*shape, generator=seeded(1), dtype=dtype) * 2 - 1


def test_diffaugment_colours_are_those_of_the_paper():
    x, numbers = images(20, 3, 8, 9), torch.rand(20, 3, generator=seeded())
    expected = []
    for image, (b, s, c) in zip(x, numbers, strict=True):
        image = image + b - 0.5
        image = (image - image.mean(0)) * 2 * s + image.mean(0)
        expected.append((image - image.mean()) * (c + 0.5) + image.mean())
    assert torch.allclose(recolour(x, numbers), torch.stack(expected), atol=1e-5)


def test_diffaugment_neutral_numbers_change_nothing():
    neutral = torch.full((4, 3), 0.5)
    for channels in (1, 3, 4):
        x = images(4, channels, 8, 9)
        assert torch.allclose(recolour(x, neutral), x, atol=1e-6)
        assert torch.equal(shift(x, neutral[:, :2]), x)


def test_diffaugment_colours_keep_grey_grey_and_transparency():
    x, numbers = images(9, 1, 8, 8), torch.rand(9, 3, generator=seeded())
    other = numbers.clone()
    other[:, 1] = 0.1
    assert torch.allclose(recolour(x, numbers), recolour(x, other), atol=1e-6)
    x = images(9, 4, 8, 8)
    assert torch.equal(recolour(x, numbers)[:, 3], x[:, 3])
    assert torch.allclose(recolour(x, numbers)[:, :3], recolour(x[:, :3], numbers))


@pytest.mark.parametrize("height, width", [(8, 8), (17, 40)])
def test_diffaugment_shifts_by_up_to_an_eighth_and_fills_with_0(height, width):
    n, most = 500, (round(height / 8), round(width / 8))
    x = images(1, 3, height, width)
    moved = shift(x.expand(n, -1, -1, -1), torch.rand(n, 2, generator=seeded()))
    padded = torch.nn.functional.pad(x, (most[1], most[1], most[0], most[0]))
    places = {
        (dy, dx): padded[:, :, most[0] - dy : most[0] - dy + height, most[1] - dx : most[1] - dx + width]
        for dy in range(-most[0], most[0] + 1)
        for dx in range(-most[1], most[1] + 1)
    }
    found = [
        next((at for at, image in places.items() if torch.equal(row[None], image)), None) for row in moved
    ]
    assert None not in found
    if height == 8:
        counts = torch.tensor([found.count(at) for at in places], dtype=torch.float64)
        chi2 = ((counts - n / 9).square() / (n / 9)).sum()
        assert chi2 < 26.1  # 99.9 % of 8 degrees of freedom


@pytest.mark.parametrize("height, width", [(8, 8), (9, 13)])
def test_diffaugment_cuts_out_what_the_authors_cut_out(height, width):
    def authors(offset: int, side: int) -> set[int]:
        hole = int(side * 0.5 + 0.5)
        return {min(max(offset + i - hole // 2, 0), side - 1) for i in range(hole)}

    n = 300
    numbers = torch.rand(n, 2, generator=seeded())
    holes = cut_out(torch.ones(n, 1, height, width), numbers)[:, 0] == 0
    for hole, (x, y) in zip(holes, numbers.tolist(), strict=True):
        offsets = [int(u * (side + 1 - int(side * 0.5 + 0.5) % 2)) for u, side in ((x, width), (y, height))]
        expected = torch.zeros(height, width, dtype=torch.bool)
        for i in authors(offsets[1], height):
            expected[i, list(authors(offsets[0], width))] = True
        assert torch.equal(hole, expected)


def test_diffaugment_transforms_each_row_alone():
    x, augment = images(10, 3, 8, 11), DiffAugment()
    draw = augment.draw(10, seeded(3))
    assert torch.allclose(augment(x[3:7], draw[3:7], {}), augment(x, draw, {})[3:7], atol=1e-6)


def test_diffaugment_gradient_is_that_of_finite_differences():
    augment = DiffAugment()
    draw = augment.draw(2, seeded(2))
    x, change, weight = images(6, 3, 8, 9, dtype=torch.float64).split(2)

    def value(x: torch.Tensor) -> torch.Tensor:
        return (weight * augment(x, draw)).sum()

    # Affine in x, so a difference of any size has no error.
    expected = (value(x + change) - value(x)).item()
    assert (torch.func.grad(value)(x) * change).sum().item() == pytest.approx(expected, abs=1e-9)


def test_diffaugment_does_what_its_policy_names():
    x = images(6, 3, 8, 8)
    draw = DiffAugment().draw(6, seeded())
    assert torch.equal(DiffAugment(policy=[])(x, draw), x)
    assert torch.equal(DiffAugment(policy=["cutout"])(x, draw), cut_out(x, draw[:, 5:]))
    both = shift(cut_out(x, draw[:, 5:]), draw[:, 3:5])
    assert torch.equal(DiffAugment(policy=["cutout", "translation"])(x, draw), both)


def test_diffaugment_refuses_points_and_unknown_words():
    assert "not images" in DiffAugment().why_unsupported(Spec((2,)))
    with pytest.raises(ConfigError, match=r"augment\.policy\[1\]: 'color' .*colour"):
        resolve(composed("dataset=digits", "augment=diffaugment", "augment.policy=[cutout,color]"))
