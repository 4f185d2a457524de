"""A generator that goes on against one D makes its bound fall, below 0, while the divergence falls and rises again."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from composed import composed
from torch import Tensor, nn

from gantrain.config.resolve import resolve
from gantrain.datasets.base import Data
from gantrain.metrics.base import Evaluation
from gantrain.metrics.exact import Exact
from gantrain.metrics.js import JS
from gantrain.metrics.theory import overshoot
from gantrain.metrics.theory.overshoot import EVERY, UPDATES, Overshoot, Stop, descent
from gantrain.training.evaluate import compute, draw_figures, in_eval, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

WORDS = ["dataset=gaussian", "model=gaussian", "device=cpu", "metric.n=2000", "dataset.n=4000"]
MU = 2.0


class BestD(nn.Module):
    """The logit of p / (p + q) for p = N(0, 1) and q = N(mu, 1), mu^2 / 2 - mu x, in the plane that of x_0 alone."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(-MU))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return MU * MU / 2 + self.slope * x[:, 0]


def scene(*words: str) -> Evaluation:
    start = [] if "model=mlp" in words else [f"model.mu={MU}"]
    config = resolve(composed(*WORDS, *start, *words))
    data: Data = config.dataset.load(0)
    runtime = Runtime(config.device)
    state = TrainState.create(config, data.spec, runtime)
    scene = view(config, data, state, runtime)
    return dataclasses.replace(scene, players=dataclasses.replace(scene.game, D=BestD()))


def way(evaluation: Evaluation) -> list[Stop]:
    with in_eval(evaluation.game.G_live, evaluation.game.D), torch.inference_mode():
        return evaluation.once(descent)


@pytest.fixture(scope="module")
def shown() -> Evaluation:
    return scene("objective=minimax")


@pytest.fixture(scope="module")
def minimax(shown) -> list[Stop]:
    return way(shown)


@pytest.fixture
def short(monkeypatch):
    """Updates that are enough for a reading and a picture, not for the truth to rise again."""
    monkeypatch.setattr(overshoot, "UPDATES", 2 * EVERY)


def test_the_bound_falls_below_0_and_the_truth_falls_and_rises(minimax):
    bound, truth = ([getattr(at, kind)["js"] for at in minimax] for kind in ("bound", "truth"))
    assert [at.updates for at in minimax] == list(range(0, UPDATES + 1, EVERY))
    assert truth[0] == pytest.approx(0.336831, abs=1e-6)
    assert bound[0] == pytest.approx(
        truth[0], abs=0.04
    )  # the best D of that moment: tight but for 2,000 samples
    assert bound[-1] < -1
    assert all(b < a for a, b in zip(bound[:-1], bound[1:], strict=True))
    least = truth.index(min(truth))
    assert 0 < least < len(truth) - 1
    assert truth[-1] > truth[least] + 0.1
    assert all(0 <= value <= math.log(2) for value in truth)


def test_the_bound_stays_a_bound(minimax):
    """It is of one D, so never above the truth but for its noise, however far G goes."""
    assert all(at.bound["js"] <= at.truth["js"] + 0.04 for at in minimax)


def test_overshoot_starts_at_the_values_of_js_and_exact(shown, minimax):
    known = compute([JS(), Exact()], shown).metrics
    assert minimax[0].bound["js"] == known["divergence/js"]
    assert minimax[0].truth["js"] == pytest.approx(known["divergence/js_exact"], abs=1e-9)


def test_the_tags_are_the_last_stop_and_the_least_truth(shown, minimax):
    truth = [at.truth["js"] for at in minimax]
    assert compute([Overshoot()], shown).metrics == {
        "divergence/js_after_g": minimax[-1].bound["js"],
        "divergence/js_exact_after_g": truth[-1],
        "divergence/js_exact_least": min(truth),
        "generator/updates_to_least": float(minimax[truth.index(min(truth))].updates),
    }


@pytest.mark.parametrize("kind", ["slope", "infinite"])
def test_overshoot_ends_at_a_gradient_that_is_not_finite(kind):
    evaluation = scene("objective=minimax")
    with torch.no_grad():
        evaluation.game.D.slope.fill_(math.nan if kind == "slope" else math.inf)
    assert [at.updates for at in way(evaluation)] == [0]


def test_both_players_and_their_gradients_are_left_alone(short):
    evaluation = scene("objective=non_saturating")
    players = (evaluation.game.G_live, evaluation.game.D)
    before = [p.detach().clone() for player in players for p in player.parameters()]
    way(evaluation)
    after = [p for player in players for p in player.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.grad is None and p.requires_grad for p in after)


def test_overshoot_descends_once_for_numbers_and_figure(short, monkeypatch):
    evaluation, steps = scene("objective=minimax", "metric.n=100"), []
    descend = overshoot.descend
    monkeypatch.setattr(overshoot, "descend", lambda *words: steps.append(words) or descend(*words))
    found = compute([Overshoot()], evaluation).metrics
    draw_figures(Overshoot(), evaluation, [])
    assert len(steps) == 2 * EVERY
    moved = dataclasses.replace(
        evaluation, players=dataclasses.replace(evaluation.game, D=BestD().requires_grad_(False))
    )
    moved.game.D.slope.mul_(0.5)
    assert compute([Overshoot()], moved).metrics != found  # another evaluation has its own
    assert len(steps) == 4 * EVERY


def test_a_generator_without_a_density_has_a_bound_and_no_truth(short):
    evaluation = scene("objective=non_saturating", "model=mlp", "model.width=8")
    found = compute([Overshoot()], evaluation).metrics
    assert found.keys() == {"divergence/js_after_g"}
    assert "overshoot" in draw_figures(Overshoot(), evaluation, [])


@pytest.mark.parametrize("words", [["objective=fgan_kl"], ["objective=relativistic"]])
def test_every_game_has_its_own_bound_on_the_way(words, short):
    metrics = compute([Overshoot()], scene(*words)).metrics
    quantity = {"objective=fgan_kl": "kl", "objective=relativistic": "game"}[words[0]]
    assert f"divergence/{quantity}_after_g" in metrics
    assert ("divergence/kl_exact_least" in metrics) == (quantity == "kl")


@pytest.mark.parametrize("dim", [1, 2])
def test_a_line_and_a_plane_are_drawn(dim, short):
    picture = draw_figures(Overshoot(), scene(f"dataset.dim={dim}", "metric.n=500"), [])["overshoot"]
    assert len(picture.getcolors(1 << 20)) > 20
