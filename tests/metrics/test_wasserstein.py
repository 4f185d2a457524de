"""Wasserstein distances are those of the line, of translations and of assignments; slices never exceed the whole."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance
from torch import Tensor

from gantrain.datasets.base import Data
from gantrain.datasets.digits import Digits
from gantrain.datasets.gaussians import Ring
from gantrain.metrics import wasserstein as module
from gantrain.metrics.base import Evaluation
from gantrain.metrics.suite import Suite
from gantrain.metrics.wasserstein import DIRECTIONS, MAX_EXACT, Wasserstein, exact, sliced


def draw(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def rotation(d: int) -> Tensor:
    return torch.linalg.qr(draw(d, d, 7).double()).Q


@pytest.mark.parametrize(("n", "m"), [(300, 300), (300, 70), (1, 5), (2, 2)])
def test_wasserstein_on_a_line_is_the_area_between_cdfs(n, m):
    a, b = draw(n, 1, 0), 0.3 + 2 * draw(m, 1, 1)
    expected = wasserstein_distance(a[:, 0].double().numpy(), b[:, 0].double().numpy())
    assert exact(a, b) == pytest.approx(expected, rel=1e-9)
    assert sliced(a, b, 0) == pytest.approx(expected, rel=1e-9)
    if n == m:
        assert expected == pytest.approx(float((a.sort(0).values - b.sort(0).values).double().abs().mean()))


@pytest.mark.parametrize(
    ("m1", "s1", "m2", "s2", "truth"), [(0, 1, 2, 1, 2), (0, 1, 0, 2, 0.797885), (1, 0.5, -1, 2, 2.127185)]
)
def test_two_gaussians_read_the_populations_distance(m1, s1, m2, s2, truth, monkeypatch):
    monkeypatch.setattr(module, "DIRECTIONS", 1)  # a line has no others
    n = 20_000
    values = [sliced(m1 + s1 * draw(n, 1, 2 * i), m2 + s2 * draw(n, 1, 2 * i + 1), 0) for i in range(8)]
    error = np.std(values) / math.sqrt(len(values))
    assert error < 0.01
    assert abs(np.mean(values) - truth) < 5 * error + 1e-3


@pytest.mark.parametrize("d", [1, 2, 64])
def test_a_translated_copy_is_as_far_as_it_was_moved(d):
    x, t = draw(200, d, 0).double(), 3 * draw(1, d, 1).double()
    assert exact(x, x + t) == pytest.approx(float(t.norm()), rel=1e-9)
    assert exact(x.float(), (x + t).flip(0).float()) == pytest.approx(float(t.norm()), rel=1e-5)


@pytest.mark.parametrize("d", [2, 5])
def test_it_is_the_cheapest_assignment(d):
    a, b = draw(60, d, 0).double(), 1 + draw(60, d, 1).double()
    cost = (a[:, None] - b).norm(dim=2).numpy()
    assert exact(a, b) == pytest.approx(cost[linear_sum_assignment(cost)].mean(), rel=1e-9)


def test_as_many_points_as_are_read_are_solved_to_the_end():
    """A wide cloud to a tight one takes many pivots, and a solver that stopped early would not be at the least."""
    a = draw(MAX_EXACT, 2, 0).double()
    b = 0.01 * a.roll(1, 0) + torch.tensor([5.0, 0.0])
    cost = (a[:, None] - b).norm(dim=2).numpy()
    assert exact(a, b) == pytest.approx(cost[linear_sum_assignment(cost)].mean(), rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("d", [1, 2, 20])
def test_slices_never_exceed_the_whole(d, seed):
    a, b = draw(80, d, 2 * seed), 0.5 * seed + (1 + seed) * draw(50, d, 2 * seed + 1)
    assert 0 < sliced(a, b, seed) <= exact(a, b) * (1 + 1e-12)


@pytest.mark.parametrize("d", [2, 10])
def test_slices_see_a_shift_as_the_mean_cosine_of_directions(d):
    """E |cos| over the sphere is Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)), and about sqrt(2 / (pi d))."""
    x, t = draw(50, d, 0).double(), draw(1, d, 1).double()
    cosine = math.gamma(d / 2) / (math.sqrt(math.pi) * math.gamma((d + 1) / 2))
    values = [sliced(x, x + t, seed) / float(t.norm()) for seed in range(40)]
    assert abs(np.mean(values) - cosine) < 4 * np.std(values) / math.sqrt(40)
    assert abs(np.std(values) * math.sqrt(DIRECTIONS) - math.sqrt(1 / d - cosine**2)) < 0.4 * math.sqrt(1 / d)
    assert abs(cosine / math.sqrt(2 / (math.pi * d)) - 1) < 0.15


@pytest.mark.parametrize("measure", [exact, lambda a, b: sliced(a, b, 0)], ids=["exact", "sliced"])
def test_both_are_distances(measure):
    a, b, c = draw(60, 3, 0).double(), 1 + 2 * draw(60, 3, 1).double(), draw(60, 3, 2).double() - 1
    assert abs(measure(a, a.flip(0))) < 1e-12
    assert measure(a, b) == pytest.approx(measure(b, a), rel=1e-9)
    assert measure(a, b) <= measure(a, c) + measure(c, b)
    assert measure(5 * a, 5 * b) == pytest.approx(5 * measure(a, b), rel=1e-9)
    assert measure(a + 9, b + 9) == pytest.approx(measure(a, b), rel=1e-9)


def test_rotation_changes_nothing_exactly_and_in_expectation():
    a, b, Q = draw(60, 4, 0).double(), draw(60, 4, 1).double() * torch.tensor([1, 2, 3, 4.0]), rotation(4)
    assert exact(a @ Q, b @ Q) == pytest.approx(exact(a, b), rel=1e-9)
    turned = [sliced(a @ Q, b @ Q, seed) - sliced(a, b, seed) for seed in range(40)]
    assert abs(np.mean(turned)) < 4 * np.std(turned) / math.sqrt(40)
    assert np.std(turned) < 0.1 * sliced(a, b, 0)


def test_directions_are_those_of_the_seed():
    a, b = draw(50, 3, 0), draw(50, 3, 1)
    assert sliced(a, b, 3) == sliced(a, b, 3) != sliced(a, b, 4)


def reading(data: Data, fake: Tensor, n: int) -> tuple[dict[str, float], dict[str, object]]:
    cpu = torch.device("cpu")
    evaluation = Evaluation(data=data, suite=Suite(n=n), device=cpu, seed=0, substitute=(fake, None))
    with torch.inference_mode():
        if not len(fake):  # data in the place of samples, moved
            evaluation = replace(evaluation, substitute=(evaluation.real[0] + 0.25, None))
        return Wasserstein()(evaluation), Wasserstein().protocol(evaluation)


def test_images_are_read_as_pixels():
    """Each of 64 pixels moved by 0.25 is a move by 2."""
    values, protocol = reading(Digits().load(0), torch.empty(0), 300)
    assert values["divergence/wasserstein"] == pytest.approx(2.0, rel=1e-6)
    assert values["divergence/sliced_wasserstein"] == pytest.approx(
        2 * math.sqrt(2 / (math.pi * 64)), rel=0.2
    )
    assert (protocol["features"], protocol["n"], protocol["n_exact"]) == ("pixels", 300, 300)


def test_the_exact_distance_is_read_on_the_first_thousand():
    data = Ring(n=100, n_holdout=1500).load(0)
    far = torch.cat([torch.zeros(MAX_EXACT, 2), torch.full((500, 2), 1e3)])
    values, protocol = reading(data, far, 1500)
    assert values["divergence/wasserstein"] == pytest.approx(2.0, rel=0.01)  # the radius
    assert values["divergence/sliced_wasserstein"] > 100
    assert (protocol["features"], protocol["n"], protocol["n_exact"]) == ("coordinates", 1500, MAX_EXACT)
