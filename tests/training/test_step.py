"""The updates of D and of G: what each differentiates, what each leaves as it was, and what D descends."""

import copy

import pytest
import torch
from penalty_costs import cost_of
from small_game import Spy, game, gradients, move_g, same
from torch import nn

from gantrain.core.random import stream
from gantrain.noise import Noise
from gantrain.training.play import Play

ALL_GAMES = pytest.mark.parametrize(
    "options",
    [
        {},
        {"objective": "minimax"},
        {"penalty": "r1"},
        {"objective": "conditional", "condition": "concat"},
        {"dataset": {"name": "digits"}, "penalty": "r1"},
    ],
    ids=lambda options: "-".join(str(value) for value in options.values()) or "default",
)


# What is changed


@ALL_GAMES
def test_d_step_differentiates_d_and_touches_nothing_else(options):
    g = game(**options)
    before = g.tensors("G", "D", "G_ema", "opt_G", "opt_D")
    tags = g.move_d()
    assert not any(value.requires_grad for value in tags.values())  # a report keeps no graph alive
    assert same(before, g.tensors("G", "D", "G_ema", "opt_G", "opt_D"))
    assert gradients(g.state.G) == [None] * len(list(g.state.G.parameters()))
    assert all(grad is not None for grad in gradients(g.state.D))


@ALL_GAMES
def test_g_step_differentiates_g_and_touches_nothing_else(options):
    g = game(**options)
    before = g.tensors("G", "D", "G_ema", "opt_G", "opt_D")
    tags = g.move_g()
    assert not any(value.requires_grad for value in tags.values())
    assert same(before, g.tensors("G", "D", "G_ema", "opt_G", "opt_D"))
    assert gradients(g.state.D) == [None] * len(list(g.state.D.parameters()))
    assert all(grad is not None and grad.abs().sum() > 0 for grad in gradients(g.state.G))
    assert all(p.requires_grad for p in g.state.D.parameters())


@ALL_GAMES
def test_g_step_keeps_the_gradient_that_waits_for_ds_update(options):
    g = game(**options)
    g.move_d()
    waiting = [grad.clone() for grad in gradients(g.state.D)]
    g.move_g()
    assert all(torch.equal(was, grad) for was, grad in zip(waiting, gradients(g.state.D), strict=True))


# What the networks get


def test_g_step_adds_the_same_noise_to_relativistic_real_data():
    g = game(objective="relativistic")
    g.config.noise = Noise(instance_std=0.1)
    g.state.D = spy = Spy(g.state.D)
    real, y = g.batches(0)
    move_g(g.state, real, y, 0, Play.create(g.config, g.runtime))
    (fake, _), (beside, _) = spy.calls
    clean = g.state.G(g.state.G.latents(len(real), stream(0, 0, "g0")), y)
    for shown, was in ((fake, clean), (beside, real)):
        assert float((shown - was).detach().std()) == pytest.approx(g.config.noise.instance_std, rel=0.5)
    assert not torch.allclose(fake - clean, beside - real)  # noise of its own


def test_mismatched_pairs_are_the_data_with_a_wrong_condition():
    g = game("conditional", condition="concat")
    g.state.D, g.state.G = Spy(g.state.D), Spy(g.state.G)
    offsets = []
    for number in range(10):
        g.state.step, i = divmod(number, 2)
        real, y = g.batches(number)
        g.state.D.calls.clear()
        g.state.G.calls.clear()
        g.move_d(number, i)
        assert [asked.tolist() for _, asked in g.state.G.calls] == [y.tolist()]
        x, labels = (torch.cat(column) for column in zip(*g.state.D.calls, strict=True))
        of_data = (x[:, None] == real).all(2)  # [rows shown, N]
        assert len(x) == 3 * len(real)
        assert of_data.sum(0).tolist() == [2] * len(real)
        assert labels[~of_data.any(1)].tolist() == y.tolist()
        for sample, right in zip(of_data.T, y.tolist(), strict=True):
            shown = labels[sample].tolist()
            assert shown.count(right) == 1
            assert all(0 <= label < 4 for label in shown)
            offsets.append((sum(shown) - 2 * right) % 4)
    assert set(offsets) == {1, 2, 3}


def test_mismatch_weight_0_shows_d_no_wrong_pairs():
    g = game("conditional", condition="concat", steps=1)
    g.config.objective.mismatch_weight = 0.0
    g.state.D = Spy(g.state.D)
    report = g.move_d()
    assert sum(len(x) for x, _ in g.state.D.calls) == 2 * 8
    assert "logits/mismatched" not in report


# What D descends


def test_d_step_reports_the_logits_of_each_kind_and_the_loss():
    g = game("conditional", condition="concat")
    real, y = g.batches(0)
    g.state.D = Spy(g.state.D)
    report = g.move_d()
    x, labels = (torch.cat(column) for column in zip(*g.state.D.calls, strict=True))
    logits = g.state.D.network(x, labels)
    of_data = (x[:, None] == real).all(2)
    right = (of_data & (labels[:, None] == y)).any(1)
    wrong, fake = of_data.any(1) & ~right, ~of_data.any(1)
    for tag, rows in [("logits/real", right), ("logits/fake", fake), ("logits/mismatched", wrong)]:
        assert report[tag].item() == pytest.approx(logits[rows].mean().item(), rel=1e-5)
    called_fake = (
        0.5 * nn.functional.softplus(logits[fake]).mean() + 0.5 * nn.functional.softplus(logits[wrong]).mean()
    )
    loss = nn.functional.softplus(-logits[right]).mean() + called_fake
    assert report["loss/d"].item() == pytest.approx(loss.item(), rel=1e-6)


def test_penalty_is_added_to_d_loss_once_and_reported_apart():
    alone, penalised = game(), game(penalty="r1")
    penalised.config.penalty.gamma = 30.0
    reports = [g.move_d() for g in (alone, penalised)]
    # To rounding: without slopes D sees data and samples in one pass.
    assert reports[0]["loss/d"].item() == pytest.approx(reports[1]["loss/d"].item(), rel=1e-6)
    assert "loss/penalty" not in reports[0]
    real, y = penalised.batches(0)
    D = copy.deepcopy(penalised.state.D)
    D.zero_grad()
    cost = cost_of(penalised.config.penalty, D, real, real, y)
    cost.backward()
    assert torch.equal(reports[1]["loss/penalty"], cost)
    for with_it, without, extra in zip(
        gradients(penalised.state.D), gradients(alone.state.D), gradients(D), strict=True
    ):
        torch.testing.assert_close(with_it - without, torch.zeros_like(without) if extra is None else extra)
