"""The kernel density estimate is scikit-learn's, and falls into the traps that the literature warns of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from sklearn.neighbors import KernelDensity
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.metrics.base import Evaluation
from gantrain.metrics.parzen import COARSE, FINE, Parzen, choose, log_likelihood, scale
from gantrain.metrics.suite import Suite

TAG = "fidelity/log_likelihood_parzen"


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def at(*sigmas: float) -> Tensor:
    return torch.tensor(sigmas, dtype=torch.float64)


def evaluation(data: Data, fake: Tensor) -> Evaluation:
    """Return the evaluation of samples that are there, without players."""
    return Evaluation(
        data=data,
        suite=Suite(n=10_000),
        device=torch.device("cpu"),
        seed=0,
        substitute=(fake, None),
    )


@pytest.mark.parametrize(("d", "sigma"), [(1, 0.05), (1, 0.7), (3, 0.05), (3, 0.7), (64, 20.0)])
def test_the_log_likelihood_is_that_of_scikit_learn(d, sigma):
    """Where kernels reach: at small densities of many dimensions scikit-learn's tree is some nats off."""
    centres = normal(83, d, 0)
    x = centres.repeat(9, 1) + sigma * normal(9 * 83, d, 1)  # more than are looked at at once
    reference = KernelDensity(bandwidth=sigma).fit(centres.numpy()).score_samples(x.numpy())
    found = log_likelihood(x, centres, at(sigma, 1.0))[0].numpy()
    np.testing.assert_allclose(found, reference, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("d", [1, 3, 64])
@pytest.mark.parametrize("sigma", [1e-3, 0.05, 20.0])
def test_parzen_log_likelihood_sums_over_far_kernels(d, sigma):
    centres, x = normal(83, d, 0), normal(101, d, 1)
    exponents = -((x.numpy()[:, None] - centres.numpy()) ** 2).sum(2) / (2 * sigma**2)
    expected = logsumexp(exponents, 1) - math.log(83) - d * math.log(sigma * math.sqrt(2 * math.pi))
    np.testing.assert_allclose(
        log_likelihood(x, centres, at(sigma))[0].numpy(), expected, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize(("sigma", "distance"), [(1e-3, 0.0), (0.1, 3.0), (5.0, 100.0)])
def test_one_sample_is_one_gaussian(sigma, distance):
    d = 7
    x, centre = torch.zeros(1, d).double(), at(distance / math.sqrt(d)).expand(1, d)
    expected = -(distance**2) / (2 * sigma**2) - d * math.log(sigma * math.sqrt(2 * math.pi))
    assert log_likelihood(x, centre, at(sigma)).item() == pytest.approx(expected, rel=1e-12)


def test_density_integrates_to_one():
    line = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    density = log_likelihood(line[:, None], normal(40, 1, 3), at(0.05, 0.3, 1.0)).exp()
    torch.testing.assert_close(torch.trapezoid(density, line), torch.ones(3).double(), atol=1e-9, rtol=0)


def test_order_and_place_of_the_samples_do_not_matter():
    x, centres, sigmas = normal(50, 5, 4), normal(60, 5, 5), at(0.2, 1.0)
    found = log_likelihood(x, centres, sigmas)
    order, shift = torch.randperm(60, generator=torch.Generator().manual_seed(0)), normal(1, 5, 6)
    torch.testing.assert_close(log_likelihood(x, centres[order], sigmas), found, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        log_likelihood(x + shift, centres + shift, sigmas), found, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
def test_parzen_scales_with_the_unit_of_the_data(factor):
    valid, centres = normal(100, 2, 7), normal(100, 2, 8)
    sigma, scaled = choose(valid, centres, 1.0), choose(factor * valid, factor * centres, factor)
    assert scaled == pytest.approx(factor * sigma, rel=1e-9)
    there = log_likelihood(factor * valid, factor * centres, at(scaled)) + 2 * math.log(factor)
    torch.testing.assert_close(there, log_likelihood(valid, centres, at(sigma)), rtol=1e-6, atol=1e-6)


def test_parzen_of_gaussian_data_goes_to_minus_the_entropy():
    """And stays below it: E_p log q is never above E_p log p."""
    entropy = 0.5 * math.log(2 * math.pi * math.e)
    valid, test = normal(1000, 1, 9), normal(5000, 1, 10)
    ideal = -0.5 * test.square().mean() - 0.5 * math.log(2 * math.pi)  # E log p on these very points
    lost = []
    for n in (10, 100, 3000):
        means = [
            log_likelihood(test, centres, at(choose(valid, centres, 1.0))).mean()
            for centres in normal(8 * n, 1, 11).split(n)[: 1 if n == 3000 else 8]
        ]
        lost.append(float(ideal - torch.stack(means).mean()))
    assert float(ideal) == pytest.approx(-entropy, abs=4 * math.sqrt(0.5 / 5000))
    assert lost[0] > lost[1] > lost[2] > 0
    assert lost[2] < 0.01


@pytest.mark.parametrize("spread", [0.01, 0.3, 3.0])
def test_cross_validation_picks_the_best_of_its_grid(spread):
    centres = torch.cat([spread * normal(40, 2, 12), spread * normal(40, 2, 13) + 2])
    valid = torch.cat([spread * normal(40, 2, 14), spread * normal(40, 2, 15) + 2])
    sigma = choose(valid, centres, 1.0)
    every = (COARSE[:, None] * FINE).flatten().sort().values  # all that two stages could have met
    values = log_likelihood(valid, centres, every).mean(1)
    assert log_likelihood(valid, centres, at(sigma)).mean() == pytest.approx(float(values.max()), abs=1e-9)
    assert every[0] < sigma < every[-1]


def test_parzen_sigma_is_chosen_on_the_other_half():
    """What is read cannot move sigma: with the other half far away, sigma stays and the likelihood falls."""
    spec, x = Spec((2,)), normal(200, 2, 16).float()
    data = Data(spec, Split(normal(100, 2, 17).float()), Split(x))
    near = evaluation(data, normal(200, 2, 18).float())
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))  # which the evaluation takes, too
    moved = x.clone()
    moved[order[1::2]] += 5.0
    far = replace(near, data=replace(data, holdout=Split(moved)))
    metric = Parzen()
    assert metric.protocol(far) == metric.protocol(near)
    assert metric(far)[TAG] < metric(near)[TAG] - 5
    protocol = metric.protocol(near)
    assert (protocol["n"], protocol["n_sigma"], protocol["n_read"]) == (200, 100, 100)
    assert protocol["grid"] == [pytest.approx(scale(near) * edge) for edge in (1e-3, 10)]


def test_parzen_value_is_the_mean_with_its_standard_error():
    data = Data(Spec((3,)), Split(normal(50, 3, 19).float()), Split(normal(400, 3, 20).float()))
    shown = evaluation(data, normal(150, 3, 21).float())
    found = Parzen()(shown)
    reference = KernelDensity(bandwidth=Parzen().protocol(shown)["sigma"]).fit(shown.fake[0].double().numpy())
    scores = reference.score_samples(shown.real[0][1::2].double().numpy())
    assert found[TAG] == pytest.approx(scores.mean(), rel=1e-6)
    assert found[TAG].error == pytest.approx(scores.std(ddof=1) / math.sqrt(200), rel=1e-6)


def test_parzen_images_are_in_0_to_1_as_published():
    """A likelihood of images in [-1, 1] would be smaller by log 2 for each pixel."""
    digits = Digits().load(0)
    pixels, _ = digits.train.take(torch.arange(300))
    found = Parzen()(evaluation(digits, pixels))[TAG]
    flat = replace(
        digits,
        spec=Spec((64,)),
        train=Split(digits.train.x.flatten(1)),
        holdout=Split(digits.holdout.x.flatten(1)),
    )
    assert found - Parzen()(evaluation(flat, pixels.flatten(1)))[TAG] == pytest.approx(
        64 * math.log(2), abs=1e-3
    )


def test_centroids_beat_the_digits_they_are_the_means_of():
    """The ranking that Theis et al. 2016 (sec. 3.2) warn of: no generator, no new digit, and a better number."""
    digits = Digits().load(0)
    train, _ = digits.train.take(torch.arange(len(digits.train)))
    some = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:200]
    means = KMeans(200, n_init=1, random_state=0).fit(train.flatten(1).numpy()).cluster_centers_
    centroids = torch.from_numpy(means).float().reshape(-1, 1, 8, 8)
    of_data, of_means = (Parzen()(evaluation(digits, x)) for x in (train[some], centroids))
    error = math.hypot(of_data[TAG].error, of_means[TAG].error)
    assert of_means[TAG] > of_data[TAG] + 2 * error


@pytest.mark.parametrize("n", [2, 40])
def test_parzen_figure_of_few_and_of_constant_samples(n):
    data = Data(Spec((2,)), Split(normal(60, 2, 22).float()), Split(normal(40, 2, 23).float()))
    (picture,) = Parzen().figures(evaluation(data, torch.ones(n, 2)), []).items()
    assert picture[0] == "parzen"
    assert len(picture[1].getcolors(maxcolors=1 << 20)) > 20


def test_constant_data_have_a_scale():
    data = Data(Spec((1,)), Split(torch.ones(5, 1)), Split(torch.ones(4, 1)))
    assert math.isfinite(Parzen()(evaluation(data, torch.ones(4, 1)))[TAG])
