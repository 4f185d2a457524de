"""The divergence of two sets of points, where densities say what it is."""

import math

import numpy as np
import pytest

from gantrain.verdicts.thermometer.divergence import divergence_of_points
from gantrain.verdicts.thermometer.inputs import products, standardise

LOG_2 = math.log(2)


def exact_jsd_of_shift(delta: float) -> float:
    """Return the JSD of N(0, 1) and N(delta, 1), by quadrature."""
    x = np.linspace(-12, 12 + delta, 20_001)
    p, q = (np.exp(-0.5 * (x - mean) ** 2) / math.sqrt(2 * math.pi) for mean in (0, delta))
    middle = 0.5 * (p + q)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(f > 0, f * np.log(f / middle), 0) for f in (p, q)]
    return float(0.5 * sum(terms).sum() * (x[1] - x[0]))


def normal(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


def test_a_known_divergence_lies_in_its_interval_above_the_bound():
    truth = exact_jsd_of_shift(2.0)
    assert truth == pytest.approx(0.336831, abs=1e-6)
    found = divergence_of_points(normal(400, 1, 0), normal(400, 1, 1, 2.0))
    assert found.is_different
    assert found.jsd.low < truth < found.jsd.high
    assert abs(found.jsd - truth) < 4 * found.jsd.error
    exact_variation = math.erf(1 / math.sqrt(2))  # 2 Phi(delta / 2) - 1
    assert abs(found.total_variation - exact_variation) < 4 * found.total_variation.error


def test_points_of_one_law_are_not_called_different():
    found = divergence_of_points(normal(200, 2, 2), normal(200, 2, 3))
    assert not found.is_different
    assert found.jsd == pytest.approx(0, abs=0.01)


def test_disjoint_points_are_log_two_apart():
    found = divergence_of_points(normal(100, 2, 4), normal(100, 2, 5, 100.0))
    assert LOG_2 - 0.02 < found.jsd < LOG_2 + 1e-9
    assert found.total_variation == 1


def test_samples_that_are_too_few_are_not_called_close():
    found = divergence_of_points(normal(60, 3, 6), normal(60, 3, 7, 0.5))
    assert not found.is_close


def test_a_heavy_tail_is_standardised_by_an_increasing_map():
    x = np.random.default_rng(8).standard_cauchy((1000, 1))
    z = standardise(x)
    assert np.abs(z).max() < 20 < np.abs(x).max()
    assert (np.diff(z[np.argsort(x[:, 0]), 0]) >= 0).all()


def test_products_hold_the_log_ratio_of_two_gaussians():
    z = np.random.default_rng(9).standard_normal((500, 3)) @ np.diag([1.0, 2.0, 3.0])
    ratio = z[:, 0] * z[:, 1] - 0.5 * z[:, 2] ** 2 + z[:, 0]
    x = np.concatenate([products(standardise(z / 3)), np.ones((500, 1))], 1)
    left = ratio - x @ np.linalg.lstsq(x, ratio, rcond=None)[0]
    assert left.std() < 0.2 * ratio.std()
