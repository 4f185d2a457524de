"""Consistency is the loop over its definition, and its shifts are by whole pixels."""

import pytest
import torch
from penalty_costs import cost_of
from torch import Tensor

from gantrain.penalties.consistency import Consistency, shifted

PICTURES = torch.randn(6, 2, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def curved(x: Tensor, y: Tensor | None = None) -> Tensor:
    weights = torch.linspace(-1, 1, x[0].numel(), dtype=torch.float64)
    return (x.flatten(1) @ weights).sin()


def test_shift_moves_pixels_and_mirrors_them_at_the_edge():
    x = torch.arange(5.0)[None, None, :, None].expand(1, 1, 5, 4)
    down = shifted(x, torch.tensor([[2, 0]]))[0, 0, :, 0]
    assert down.tolist() == [2.0, 1.0, 0.0, 1.0, 2.0]
    up = shifted(x, torch.tensor([[-2, 3]]))[0, 0, :, 1]
    assert up.tolist() == [2.0, 3.0, 4.0, 3.0, 2.0]
    assert torch.equal(shifted(PICTURES, torch.zeros(6, 2).long()), PICTURES)


def test_consistency_is_the_loop_over_samples():
    penalty = Consistency(gamma=0.5, shift=0.25)
    draw = penalty.draw(PICTURES, torch.Generator().manual_seed(3))
    total = 0.0
    for x, (mirror, down, right) in zip(PICTURES, draw.tolist(), strict=True):
        moved = x.flip(2) if mirror < 0.5 else x
        pixels = torch.tensor([[int(down * 3) - 1, int(right * 5) - 2]])  # of 5 and of 8 pixels
        total += 0.5 * (curved(x[None]) - curved(shifted(moved[None], pixels))).item() ** 2 / 6
    assert cost_of(penalty, curved, PICTURES, PICTURES, seed=3).item() == pytest.approx(total, rel=1e-6)


def test_consistency_of_points_is_under_noise():
    x = torch.randn(1000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    cost = cost_of(Consistency(gamma=1.0, sigma=0.3), lambda x, y: x[:, 0], x, x)
    assert cost.item() == pytest.approx(0.09, rel=0.15)


def test_consistency_of_a_d_that_ignores_place_is_0():
    """A shift at a mirrored edge may change a mean; a flip alone changes none."""
    cost = cost_of(Consistency(shift=0.0), lambda x, y: x.flatten(1).mean(1), PICTURES, PICTURES)
    assert cost.item() == pytest.approx(0, abs=1e-20)
    by_place = cost_of(Consistency(shift=0.0), curved, PICTURES, PICTURES)
    assert by_place > 1e-3
    assert cost_of(Consistency(shift=0.0, flip=False), curved, PICTURES, PICTURES) == 0
