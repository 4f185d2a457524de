"""V(G, D) on a family of discriminators is greatest at the best one, and the least of these maxima is at q = p."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from gantrain.metrics.theory.minimax_picture import CHANCE, MEANS, MinimaxPicture, best_value, value

# 2 JSD - 2 log 2 of N(0, 1) and N(mean, std^2), to six digits by quadrature.
CLOSED = {
    (0.0, 1.0): -1.386294,
    (1.0, 1.0): -1.163451,
    (2.0, 1.0): -0.712633,
    (4.0, 1.0): -0.120854,
    (0.0, 2.0): -1.200828,
}


@pytest.mark.parametrize(("mean", "std"), CLOSED)
def test_the_value_at_the_best_d_is_that_of_the_divergence(mean, std):
    assert best_value(mean, std) == pytest.approx(CLOSED[mean, std], abs=1e-6)


@pytest.mark.parametrize(
    ("mean", "std"), [(0.25, 1.0), (1.0, 1.0), (2.5, 1.0), (4.0, 1.0), (0.0, 2.0), (1.0, 0.4)]
)
def test_the_maximum_over_the_family_is_at_w_1(mean, std):
    """V is concave in w, so the zero of its slope is the maximum; bisection finds it to 1e-7."""
    low, high = 0.0, 3.0
    for _ in range(26):
        middle = (low + high) / 2
        w = torch.tensor([middle], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(value(w, mean, std).sum(), w)
        low, high = (middle, high) if slope > 0 else (low, middle)
    assert low == pytest.approx(1.0, abs=1e-6)
    around = value(torch.linspace(-1, 3, 81, dtype=torch.float64), mean, std)
    assert (around.diff().diff() < 0).all()


def test_a_coin_has_the_same_value_against_every_generator():
    for mean, std in itertools.product((0.0, 1.0, 30.0), (0.5, 1.0, 3.0)):
        assert float(value(torch.zeros(1), mean, std)) == pytest.approx(-2 * math.log(2), abs=1e-9)


def test_minimax_picture_least_maximum_is_at_the_data():
    means = torch.linspace(-3, 3, 61, dtype=torch.float64).tolist()
    tops = [best_value(mean) for mean in means]
    assert means[tops.index(min(tops))] == pytest.approx(0, abs=1e-9)
    assert min(tops) == pytest.approx(CHANCE, abs=1e-9)
    assert tops == pytest.approx(tops[::-1], abs=1e-9)
    assert all(a > b for a, b in itertools.pairwise(tops[:31]))
    assert max(tops) < 0


def test_the_three_generators_are_told_apart_by_their_maxima():
    tops = [best_value(mean) for mean in MEANS]
    assert tops == sorted(tops)
    assert tops[0] < tops[1] - 0.1 < tops[2] - 0.2


def test_the_figure_reads_no_player_and_is_the_same_each_time():
    metric = MinimaxPicture()
    assert metric(None) == {}  # it never looks
    first, again = (metric.figures(None, [])["minimax_picture"] for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.width > 2 * first.height
