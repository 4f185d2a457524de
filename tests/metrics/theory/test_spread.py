"""Spread is a ratio of standard deviations; one Gaussian on two modes is best where the experiment says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from composed import composed
from coverage import coverage
from run_of import run_of
from torch import Tensor

from gantrain.config.resolve import Config, resolve
from gantrain.core.estimate import Estimate
from gantrain.metrics.base import Evaluation
from gantrain.metrics.exact import Exact
from gantrain.metrics.theory.spread import Spread
from gantrain.metrics.theory.spread import spread as spread_and_error
from gantrain.training.evaluate import compute, draw_figures, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

SMALL = ["dataset.n=300", "dataset.n_holdout=2000", "metric.n=2000", "device=cpu"]
LINE = ["dataset=gaussian_mixture", "model=gaussian", *SMALL]


def evaluation(*words: str) -> tuple[Config, TrainState, Evaluation]:
    config = resolve(composed(*words))
    runtime, data = Runtime(config.device), config.dataset.load(0)
    state = TrainState.create(config, data.spec, runtime)
    return config, state, view(config, data, state, runtime)


def spread(seen: Evaluation) -> float:
    return compute([Spread()], seen).metrics["diversity/spread"]


@pytest.mark.parametrize(("n", "factor"), [(300, 1.0), (300, 0.3), (1000, 2.0)])
def test_spread_error_contains_the_truth(n, factor):
    def reading(generator: torch.Generator) -> Estimate:
        fake, real = torch.randn(2, n, 2, generator=generator)
        return Estimate(*spread_and_error(factor * fake, real))

    assert coverage(reading, factor, repetitions=500).is_honest


@pytest.mark.parametrize("dataset", ["gaussian_mixture", "ring"])
@pytest.mark.parametrize("factor", [0.0, 0.25, 1.0, 3.0])
def test_scaled_and_shifted_data_read_the_scale(dataset, factor):
    _, _, seen = evaluation(f"dataset={dataset}", *SMALL)
    x, y = seen.real
    assert spread(replace(seen, substitute=(factor * x + 5, y))) == pytest.approx(factor, abs=1e-5)


def at(state: TrainState, mu: float, sigma: float) -> None:
    with torch.no_grad():
        for G in (state.G, state.G_ema):
            G.mu.fill_(mu)
            G.sigma.fill_(sigma)


OPTIMA = {
    "likelihood": ("kl", "mode_collapse"),
    "fgan_js": ("js", "mode_collapse"),
    "fgan_reverse_kl": ("reverse_kl", "mode_collapse"),
}


@pytest.mark.parametrize("objective", OPTIMA)
def test_spread_experiment_states_the_least_divergence(objective):
    """Any step away from the printed optimum costs; at it the divergence is the printed one."""
    words = ["experiment=mode_collapse", f"objective={objective}", *SMALL]
    config, state, seen = evaluation(*words)
    printed = config.metric.published
    name = f"divergence/{OPTIMA[objective][0]}_exact"

    def divergence(mu: float, sigma: float) -> float:
        at(state, mu, sigma)
        return compute([Exact()], seen).metrics[name]

    mu, sigma = printed["generator/mu"], printed["generator/sigma"]
    least = divergence(mu, sigma)
    assert least == pytest.approx(printed[name], abs=1e-4)
    for step in (0.02, 0.3):
        for angle in range(0, 360, 45):
            turned = math.radians(angle)
            assert divergence(mu + step * math.cos(turned), sigma + step * math.sin(turned)) > least


def test_least_kl_covers_and_least_reverse_kl_seeks():
    found = {}
    for objective in OPTIMA:
        config, state, seen = evaluation("experiment=mode_collapse", f"objective={objective}", *SMALL)
        at(state, config.metric.published["generator/mu"], config.metric.published["generator/sigma"])
        found[objective] = spread(seen)
    density = seen.data.density
    weights, modes, stds = density.weights.double(), density.modes.double()[:, 0], density.std.double()
    mean = (weights * modes).sum()
    whole = float(((weights * (stds.square() + modes.square())).sum() - mean.square()).sqrt())
    assert found["likelihood"] == pytest.approx(1, abs=0.05)  # 2,000 of each: a standard error of 0.02
    assert found["fgan_reverse_kl"] == pytest.approx(float(stds[1]) / whole, abs=0.03)


def test_spread_figure_is_of_the_line_and_this_generator():
    _, state, seen = evaluation(*LINE)
    history = [{"step": i, "generator/mu": 0.1 * i, "generator/sigma": 1.0} for i in range(5)]

    def picture(rows: list) -> Tensor:
        (image,) = draw_figures(Spread(), seen, rows).values()
        return torch.from_numpy(np.asarray(image).copy())

    first = picture(history)
    assert torch.equal(picture(history), first)
    assert picture([]).shape[1] < first.shape[1]  # no way was logged, so one panel
    at(state, 1.0, 0.5)
    assert not torch.equal(picture(history), first)


def test_spread_figure_of_a_network_and_of_a_plane():
    _, _, network = evaluation("dataset=gaussian_mixture", *SMALL)
    assert list(draw_figures(Spread(), network, [])) == ["densities"]
    _, _, plane = evaluation("dataset=ring", *SMALL)
    assert draw_figures(Spread(), plane, []) == {}


def test_it_needs_a_known_density():
    _, _, seen = evaluation(*LINE)
    assert Spread().why_unsupported(run_of(seen.data, False)) is None
    assert "density" in Spread().why_unsupported(run_of(replace(seen.data, density=None), False))
