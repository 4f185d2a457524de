"""Both generator gradients are those of theory at the best D, and the figure shows what was logged."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from composed import composed
from small_game import move_g
from torch import Tensor

from gantrain.config.resolve import Config, resolve
from gantrain.metrics.theory.gradients import NORMS, Gradients, curve
from gantrain.metrics.tools.quadrature import divergences, frame
from gantrain.models.base import Discriminator
from gantrain.training.evaluate import compute, draw_figures, view
from gantrain.training.play import Play
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

# Theorem 2.5 of Arjovsky and Bottou 2017 for q = N(theta, 1), p = N(0, 1): d/dtheta of 2 JSD, and of KL(q, p) - 2 JSD.
IDENTITIES = {
    0.5: (0.235264, 0.264736),
    1.0: (0.397973, 0.602027),
    2.0: (0.449600, 1.550400),
    4.0: (0.137195, 3.862805),
}
N = 100_000


class Best(Discriminator):
    """D* of N(0, 1) against N(theta, 1): logit log p/q = theta^2 / 2 - theta x."""

    def __init__(self, theta: float):
        super().__init__()
        self.theta = theta

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return (self.theta**2 / 2 - self.theta * x)[:, 0]


def quantiles(n: int, *_: object) -> Tensor:
    """Midpoints of n equal shares of N(0, 1): a mean over them is the midpoint rule, where draws have noise."""
    return torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n).float()[:, None]


def scene(theta: float, *words: str) -> tuple[Config, TrainState, Runtime]:
    config = resolve(
        composed(
            "dataset=gaussian",
            "dataset.n=100",
            "dataset.n_holdout=100",
            "model=gaussian",
            f"model.mu={theta}",
            "device=cpu",
            "train.compare_gradients=true",
            *words,
        )
    )
    runtime = Runtime(config.device)
    state = TrainState.create(config, config.spec, runtime)
    state.D, state.G.latents = Best(theta), quantiles
    return config, state, runtime


@pytest.mark.parametrize("theta", IDENTITIES)
def test_gradients_at_the_best_d_are_of_their_divergences(theta):
    slopes, tags = {}, {}
    for objective in ("minimax", "non_saturating"):
        config, state, runtime = scene(theta, f"objective={objective}")
        tags[objective] = move_g(state, torch.zeros(N, 1), None, 0, Play.create(config, runtime))
        slopes[objective] = state.G.mu.grad.item(), state.G.sigma.grad.item()
    minimax, other = IDENTITIES[theta]
    # The midpoint rule cuts off 1e-5 of the tails; sums of 100,000 single-precision terms add less.
    assert slopes["minimax"][0] == pytest.approx(minimax, abs=1e-4)
    assert slopes["non_saturating"][0] == pytest.approx(other, abs=1e-4)
    assert slopes["minimax"][0] + slopes["non_saturating"][0] == pytest.approx(theta, abs=1e-4)
    for said in tags.values():  # whatever is played, both norms are logged
        for tag, objective in zip(NORMS, slopes, strict=True):
            assert said[tag].item() == pytest.approx(math.hypot(*slopes[objective]), rel=1e-4)
    for objective, tag in zip(tags, NORMS, strict=True):
        assert tags[objective]["gradient/g"].item() == pytest.approx(tags[objective][tag].item(), rel=1e-5)


@pytest.mark.parametrize("theta", IDENTITIES)
def test_gradient_identities_are_slopes_by_quadrature(theta):
    data = scene(theta)[0].dataset.load(0)

    def read_at(mu: float) -> dict[str, float]:
        def log_q(x: Tensor) -> Tensor:
            return -0.5 * (x[:, 0] - mu) ** 2 - 0.5 * math.log(2 * math.pi)

        return divergences(data.density.log_prob, log_q, *frame(data, quantiles(1000).double() + mu))

    h = 1e-2
    lower, upper = read_at(theta - h), read_at(theta + h)
    slope = {name: (upper[name] - lower[name]) / (2 * h) for name in ("js", "reverse_kl")}
    # A central difference is off by h^2/6 of the third derivative, which is below 1 here.
    assert 2 * slope["js"] == pytest.approx(IDENTITIES[theta][0], abs=5e-5)
    assert slope["reverse_kl"] - 2 * slope["js"] == pytest.approx(IDENTITIES[theta][1], abs=5e-5)


@pytest.mark.parametrize("theta", IDENTITIES)
def test_fake_probability_is_a_factor_of_the_minimax_gradient(theta):
    """The best logit has the slope -theta everywhere, so E D(G(z)) is the minimax gradient over theta."""
    config, state, runtime = scene(theta, f"metric.n={N}", f"dataset.n_holdout={N}")
    data = config.dataset.load(0)
    evaluation = view(config, data, state, runtime)
    evaluation = replace(evaluation, players=replace(evaluation.game, latents=quantiles))
    value = compute([Gradients()], evaluation).metrics["logits/fake_probability"]
    assert theta * value == pytest.approx(IDENTITIES[theta][0], abs=1e-4)


def test_a_d_whose_logits_are_no_log_ratio_has_no_probability():
    config, state, runtime = scene(1.0, "objective=hinge", "train.compare_gradients=false")
    assert compute([Gradients()], view(config, config.dataset.load(0), state, runtime)).metrics == {}


def test_the_figure_needs_curves_and_shows_them():
    config, state, runtime = scene(1.0)
    evaluation = view(config, config.dataset.load(0), state, runtime)
    assert draw_figures(Gradients(), evaluation, [{"step": 1, "loss/d": 1.0}]) == {}
    rows = [dict.fromkeys(NORMS, 10.0**-i) | {"step": i, "logits/accuracy": 0.9} for i in range(5)]
    empty = [{"step": 1, "gradient/g_minimax": 0.0}, {"step": 2, "gradient/g_minimax": None}]  # no logarithms
    shown = {
        name: np.asarray(draw_figures(Gradients(), evaluation, history)["gradients"])
        for name, history in (
            ("rows", rows),
            ("flat", [row | dict.fromkeys(NORMS, 1.0) for row in rows]),
            ("empty", empty),
        )
    }
    for name, picture in shown.items():
        assert picture.shape == shown["rows"].shape, name
    assert (shown["rows"] != shown["flat"]).any()
    assert (shown["rows"] != shown["empty"]).any()


def test_gradients_curve_is_the_finite_logged_values():
    history = [{"step": 1, "a": 1.0}, {"step": 2, "b": 5.0}, {"step": 3, "a": None}, {"step": 4, "a": 0.5}]
    assert curve(history, "a") == ([1, 4], [1.0, 0.5])
    assert curve(history, "c") == ([], [])
