"""Points of known distributions are drawn from them, and their densities integrate to 1."""

import math

import pytest
import torch

from gantrain.datasets.gaussians import Gaussian, Grid, Mixture
from gantrain.datasets.lines import Lines
from gantrain.datasets.spiral import Spiral
from gantrain.errors import ConfigError


def test_the_grid_is_the_published_one():
    modes = Grid().density().modes
    assert {tuple(point) for point in modes.tolist()} == {
        (a, b) for a in (-4, -2, 0, 2, 4) for b in (-4, -2, 0, 2, 4)
    }


def test_gaussian_has_its_density_mean_and_std():
    data = Gaussian(dim=3, mean=2.0, std=0.5, n=50_000).load(0)
    x = data.train.x
    assert data.train.y is None
    torch.testing.assert_close(x.mean(0), torch.full((3,), 2.0), atol=4 * 0.5 / math.sqrt(50_000), rtol=0)
    torch.testing.assert_close(x.std(0), torch.full((3,), 0.5), atol=0.01, rtol=0)
    normal = torch.distributions.Normal(2.0, 0.5)
    torch.testing.assert_close(
        data.density.log_prob(x[:50]), normal.log_prob(x[:50]).sum(1), rtol=1e-4, atol=1e-4
    )


def test_the_default_mixture_is_the_papers():
    """Its mean and variance are the least-KL Gaussian's of Nowozin et al. 2016, table 3: 1.0100 and 1.8310^2."""
    data = Mixture(n=400_000).load(1)
    x = data.train.x
    assert x.mean().item() == pytest.approx(1.0100, abs=4 * 1.831 / math.sqrt(400_000))
    assert x.std().item() == pytest.approx(1.83108, abs=0.01)
    grid = torch.linspace(-12, 14, 40_001, dtype=torch.float64)[:, None]
    p = data.density.log_prob(grid).exp()
    assert float(p.sum()) * float(grid[1] - grid[0]) == pytest.approx(1, abs=1e-4)


def test_a_mixture_of_one_dimension_more_and_unequal_parts():
    dataset = Mixture(weights=[3, 1], means=[[0, 0], [5, -5]], stds=[0.1, 1.0], n=40_000)
    assert dataset.spec().shape == (2,)
    data = dataset.load(0)
    share = (data.train.y == 0).float().mean().item()
    assert share == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 40_000))
    spread = data.train.x[data.train.y == 1].std(0)
    torch.testing.assert_close(spread, torch.ones(2), atol=0.04, rtol=0)


@pytest.mark.parametrize(
    "keys",
    [
        {"weights": [1.0]},
        {"means": []},
        {"means": [[0.0, 1.0], [2.0]]},
        {"means": ["a", "b"]},
        {"means": [[], []]},
    ],
)
def test_a_mixture_that_does_not_add_up_is_refused(keys):
    with pytest.raises(ConfigError, match=r"dataset\.means"):
        Mixture(**keys)


def test_lines_are_the_unit_segment_at_0():
    data = Lines(n=20_000).load(3)
    assert torch.equal(data.train.x[:, 0], torch.zeros(20_000))
    u = data.train.x[:, 1]
    assert 0 <= u.min() <= u.max() < 1
    assert u.mean().item() == pytest.approx(0.5, abs=4 / math.sqrt(12 * 20_000))


def test_spiral_without_noise_lies_on_its_arms():
    dataset = Spiral(std=0.0, n=5_000)
    data = dataset.load(0)
    radius, angle = data.train.x.norm(dim=1), torch.atan2(data.train.x[:, 1], data.train.x[:, 0])
    t = radius / dataset.radius
    expected = 2 * math.pi * (dataset.turns * t + data.train.y / dataset.arms)
    turned = torch.remainder(angle - expected + math.pi, 2 * math.pi) - math.pi
    assert turned[radius > 0.05].abs().max().item() < 1e-3
    assert t.square().mean().item() == pytest.approx(0.5, abs=0.02)  # t^2 is uniform


@pytest.mark.parametrize("dataset", [Gaussian, Mixture, Grid, Lines, Spiral])
def test_the_seed_decides_and_holdout_is_other_points(dataset):
    a, b, c = (dataset(n=500, n_holdout=300).load(seed) for seed in (0, 0, 1))
    assert torch.equal(a.train.x, b.train.x)
    assert not torch.equal(a.train.x, c.train.x)
    assert len(a.holdout) == 300
    assert torch.cdist(a.train.x.double(), a.holdout.x.double()).min() > 0
