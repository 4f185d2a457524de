"""The ring: its density is the one its points are drawn from, and its modes are what they are said to be."""

import math

import pytest
import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import GaussianModes
from gantrain.datasets.gaussians import Ring

SMALL = Ring(n=20_000, n_holdout=4000)


def mixture(x: Tensor, modes: int, radius: float, std: float) -> Tensor:
    """The density by hand: a sum of normal densities with centres from math.cos and math.sin."""
    total = torch.zeros(len(x), dtype=torch.float64)
    for k in range(modes):
        cx, cy = radius * math.cos(2 * math.pi * k / modes), radius * math.sin(2 * math.pi * k / modes)
        squared = (x[:, 0] - cx) ** 2 + (x[:, 1] - cy) ** 2
        total += torch.exp(-squared / (2 * std**2)) / (2 * math.pi * std**2) / modes
    return total


def integral(values: Tensor, step: float) -> float:
    return values.sum().item() * step**2


def plane(reach: float, step: float) -> Tensor:
    axis = torch.arange(-reach, reach + step / 2, step, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


@pytest.mark.parametrize(
    ("modes", "radius", "std", "reach", "step"),
    [
        (8, 2.0, 0.02, 2.2, 0.01),
        (8, 2.0, 0.5, 6.0, 0.05),
        (1, 1.0, 1.0, 8.0, 0.1),
        (10, 3.0, 0.05, 3.4, 0.02),
    ],
)
def test_density_integrates_to_1(modes, radius, std, reach, step):
    density = Ring(modes=modes, radius=radius, std=std).density()
    p = torch.cat([density.log_prob(part).exp() for part in plane(reach, step).split(20_000)])
    assert integral(p, step) == pytest.approx(1, abs=1e-5)


def test_log_prob_is_that_of_the_mixture_by_hand():
    ring = Ring(modes=7, radius=1.5, std=0.3)
    x = 3 * torch.randn(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = x[x.norm(dim=1) < 4]
    torch.testing.assert_close(
        ring.density().log_prob(x), mixture(x, 7, 1.5, 0.3).log(), atol=1e-4, rtol=1e-5
    )


def test_log_prob_stays_finite_where_the_density_underflows():
    far = torch.tensor([[100.0, 0.0]])
    nearest = -((100 - 2) ** 2) / (2 * 0.02**2)
    assert torch.isfinite(Ring().density().log_prob(far)).all()
    assert Ring().density().log_prob(far).item() == pytest.approx(nearest, rel=1e-4)


@pytest.mark.parametrize("modes", [1, 2, 8, 25])
def test_modes_are_distinct_evenly_spaced_and_on_the_circle(modes):
    """Angles that include both 0 and 2 pi would put two of the modes in one place."""
    centres = Ring(modes=modes, radius=3.0).density().modes.double()
    assert centres.shape == (modes, 2)
    torch.testing.assert_close(centres.norm(dim=1), torch.full((modes,), 3.0, dtype=torch.float64))
    angles = torch.atan2(centres[:, 1], centres[:, 0]) % (2 * math.pi)
    gaps = torch.diff(angles.sort().values, append=angles.min()[None] + 2 * math.pi)
    torch.testing.assert_close(
        gaps, torch.full((modes,), 2 * math.pi / modes, dtype=torch.float64), atol=1e-5, rtol=0
    )


def test_mixture_points_have_each_modes_mean_and_std():
    data = SMALL.load(0)
    assert data.spec == SMALL.spec() == Spec((2,), classes=8)
    for part in (data.train, data.holdout):
        assert part.x.dtype == torch.float32
        for k, centre in enumerate(data.density.modes):
            points = part.x[part.y == k]
            share, noise = len(points) / len(part), SMALL.std / math.sqrt(len(points))
            assert share == pytest.approx(1 / 8, abs=5 * math.sqrt(7 / 64 / len(part)))
            assert (points.mean(0) - centre).abs().max() < 5 * noise
            torch.testing.assert_close(
                points.std(0), torch.full((2,), SMALL.std), rtol=5 / math.sqrt(2 * len(points)), atol=0
            )
            assert abs(points.T.corrcoef()[0, 1]) < 5 / math.sqrt(len(points))


def test_the_mean_log_density_of_its_points_is_minus_its_entropy():
    """Modes 76 sd apart do not overlap, so the entropy is log K plus that of one Gaussian."""
    data = SMALL.load(3)
    entropy = math.log(8) + 1 + math.log(2 * math.pi * SMALL.std**2)
    log_p = data.density.log_prob(data.holdout.x)
    assert -log_p.mean().item() == pytest.approx(entropy, abs=5 / math.sqrt(len(log_p)))


def test_synthetic_parts_are_disjoint_and_depend_on_the_seed():
    first, again, other = SMALL.load(0), SMALL.load(0), SMALL.load(1)
    assert (len(first.train), len(first.holdout)) == (20_000, 4000)
    points = torch.cat([first.train.x, first.holdout.x])
    assert len(points.unique(dim=0)) == len(points)
    for part in ("train", "holdout"):
        assert torch.equal(getattr(first, part).x, getattr(again, part).x)
        assert torch.equal(getattr(first, part).y, getattr(again, part).y)
        assert not torch.equal(getattr(first, part).x, getattr(other, part).x)


def test_loading_leaves_torchs_random_state_alone():
    state = torch.random.get_rng_state()
    SMALL.load(5)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_mixture_density_is_normalised_in_any_dimension():
    one = GaussianModes(torch.tensor([[0.0], [3.0]]), 0.5)
    x = torch.linspace(-6, 9, 15_001, dtype=torch.float64)
    assert torch.trapezoid(one.log_prob(x[:, None]).exp(), x).item() == pytest.approx(1, abs=1e-9)
    peak = GaussianModes(torch.zeros(1, 5), 2.0).log_prob(torch.zeros(1, 5)).item()
    assert peak == pytest.approx(-2.5 * math.log(2 * math.pi * 4), rel=1e-6)
