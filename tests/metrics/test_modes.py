"""Modes, their evenness and the share of good samples follow PacGAN's protocol, down to its ceiling and its floor."""

from __future__ import annotations

import math

import pytest
import torch

from gantrain.datasets.base import GaussianModes
from gantrain.datasets.gaussians import Ring
from gantrain.metrics.modes import count_modes
from gantrain.metrics.tools.mode_counts import mode_estimates

SQUARE = torch.tensor([[-4.0, -4.0], [-4.0, 4.0], [4.0, -4.0], [4.0, 4.0]])


def test_three_standard_deviations_are_strictly_out():
    """Differences and squares of these numbers are exact, so the boundary is met exactly."""
    std = 0.5
    for direction in ([1.0, 0.0], [0.0, -1.0]):
        offsets = torch.tensor([[3 * std], [3 * std - 2**-40], [3 * std + 2**-40]], dtype=torch.float64)
        at = SQUARE[:1].double() + offsets * torch.tensor(direction, dtype=torch.float64)
        for copies in (1, 100):
            good = [count_modes(x.expand(copies, 2), SQUARE, std)["high_quality"] for x in at]
            assert good == [0, 1, 0]


@pytest.mark.parametrize("std", [0.02, 1.0])
def test_a_perfect_sampler_meets_the_ceiling_of_the_ball(std):
    """P(within 3 sd) in two dimensions is 1 - exp(-9/2) = 98.889 %, not 99.73 %."""
    n, ceiling = 200_000, 1 - math.exp(-4.5)
    density = GaussianModes(100 * SQUARE, std)
    x, _ = density.sample(n, torch.Generator().manual_seed(0))
    error = math.sqrt(ceiling * (1 - ceiling) / n)
    assert abs(ceiling - 0.98889) < 5e-6
    assert abs(count_modes(x, density.modes, std)["high_quality"] - ceiling) < 4 * error


@pytest.mark.parametrize(("modes", "n"), [(8, 2500), (25, 2500), (8, 400)])
def test_a_perfect_sampler_meets_the_floor_of_mode_kl(modes, n):
    """2n KL(histogram, uniform) is chi-squared with K - 1 degrees of freedom, so its mean is (K - 1) / 2n."""
    density = Ring(modes=modes).density()
    draws = torch.Generator().manual_seed(modes)
    reads = [
        count_modes(density.sample(n, draws)[0], density.modes, density.std)["mode_kl"] for _ in range(300)
    ]
    kl = torch.tensor(reads, dtype=torch.float64)
    floor, error = (modes - 1) / (2 * n), float(kl.std()) / math.sqrt(len(kl))
    assert (
        abs(float(kl.mean()) - floor) < 4 * error + 0.02 * floor
    )  # the next order of the expansion is O(1/n^2)
    assert error < 0.05 * floor
    spread = math.sqrt(2 * (modes - 1)) / (2 * n)
    assert abs(float(kl.std()) / spread - 1) < 0.25


@pytest.mark.parametrize("modes", [2, 8, 25])
def test_one_mode_only_is_log_k_away_from_uniform(modes):
    density = Ring(modes=modes).density()
    values = count_modes(density.modes[1].expand(50, 2), density.modes, density.std)
    assert values["modes"] == 1
    assert values["high_quality"] == 1
    assert values["mode_kl"] == pytest.approx(math.log(modes), abs=1e-12)


@pytest.mark.parametrize(
    "x", [torch.zeros(10, 2), torch.full((10, 2), 1e30), torch.full((10, 2), torch.nan)], ids=str
)
def test_no_good_sample_finds_no_mode_and_stays_finite(x):
    values = count_modes(x, SQUARE, 0.5)
    assert values["modes"] == 0
    assert values["high_quality"] == 0
    assert values["mode_kl"] == pytest.approx(math.log(4))  # as bad as one mode


def test_a_histogram_is_counted_over_good_samples_alone():
    at = SQUARE.double()
    x = torch.cat([at[0].expand(6, 2), at[1].expand(2, 2), at[3].expand(1, 2) + 1.6, torch.zeros(1, 2)])
    values = count_modes(x, SQUARE, 0.5)  # the last two are near a mode, and not within 3 sd of it
    assert values["modes"] == 2
    assert values["high_quality"] == 0.8
    expected = 0.75 * math.log(4 * 0.75) + 0.25 * math.log(4 * 0.25)
    assert values["mode_kl"] == pytest.approx(expected, abs=1e-12)


def test_mode_kl_of_an_even_histogram_is_0():
    x = SQUARE.repeat(7, 1)
    assert count_modes(x, SQUARE, 0.5) == {
        "modes": 4,
        "high_quality": 1,
        "mode_kl": pytest.approx(0, abs=1e-12),
    }
    assert count_modes(x.flip(0), SQUARE.flip(0), 0.5)["modes"] == 4
    assert count_modes(x + 128, SQUARE + 128, 0.5)["modes"] == 4


def test_modes_sample_belongs_to_its_nearest_mode():
    modes = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    x = torch.tensor([[0.4, 0.0], [0.6, 0.0], [0.7, 0.0]])
    values = count_modes(x, modes, 1.0)
    assert values["modes"] == 2
    assert values["mode_kl"] == pytest.approx(math.log(2) + sum(p * math.log(p) for p in (1 / 3, 2 / 3)))


@pytest.mark.parametrize("d", [1, 3, 10])
def test_any_dimension_is_counted(d):
    modes = torch.eye(10)[:, :d].unique(dim=0)
    assert count_modes(modes.repeat(3, 1), modes, 0.01)["modes"] == len(modes)


def test_no_mode_and_one_mode_are_told_apart_where_kl_is_equal():
    none, one, two = (
        mode_estimates(torch.tensor(counts), 20)["mode_kl"]
        for counts in ([0] * 8, [9] + [0] * 7, [9, 9] + [0] * 6)
    )
    assert none == one == pytest.approx(math.log(8))
    assert "no sample is at a mode" in none.caveat
    assert "one mode" in one.caveat
    assert none.caveat != one.caveat
    assert not two.caveat
