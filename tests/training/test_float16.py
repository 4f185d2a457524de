"""Steps in float16, whose losses are scaled: near those of float32, and none where a gradient overflows."""

from __future__ import annotations

import pytest
import torch
from small_game import Game, game

from gantrain.core.loss_scale import MAX_SCALE
from gantrain.errors import Diverged
from gantrain.training import runtime as runtimes
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

SGD = {"name": "sgd", "schedule": "constant", "g_lr": 0.05, "d_lr": 0.05}


def half(monkeypatch, **options) -> Game:
    """Return a run in float16 on the CPU, which is refused to users since it is slow there."""
    monkeypatch.setattr(runtimes, "check_precision", lambda *_: None)
    run = game(**options)
    run.config.device.precision = "float16"
    run.runtime = Runtime(run.config.device)
    run.state = TrainState.create(run.config, run.data.spec, run.runtime)
    return run


@pytest.mark.parametrize("penalty", ["none", "r1", "wgan_gp"])
def test_steps_in_float16_are_near_those_of_float32(monkeypatch, penalty):
    exact = game(penalty=penalty, optimizer=SGD)
    before = exact.tensors("G", "D")
    own = half(monkeypatch, penalty=penalty, optimizer=SGD).play().tensors("G", "D")
    known = exact.play().tensors("G", "D")
    for part in ("G/", "D/"):
        moved, apart = (
            sum(float((a[name] - b[name]).square().sum()) for name in a if name.startswith(part)) ** 0.5
            for a, b in ((known, before), (own, known))
        )
        assert 0 < apart < 0.02 * moved


def test_overflow_leaves_the_weights_and_halves_the_scale(monkeypatch):
    run = half(monkeypatch, steps=1)
    run.state.scales["d"].scale.fill_(MAX_SCALE)
    before = run.tensors("D", "opt_D")
    run.play()
    after = run.tensors("D", "opt_D")
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert float(run.state.scales["d"].scale) == MAX_SCALE / 2
    assert int(run.state.scales["g"].streak) == 1
    assert all(value.isfinite() for tags in run.reports for value in tags.values())


def test_gradient_that_no_scale_mends_ends_the_run(monkeypatch):
    run = half(monkeypatch, steps=200)
    with torch.no_grad():
        run.state.D.head.linear.weight.fill_(float("nan"))
    with pytest.raises(Diverged, match="loss/d"):
        run.play()
    assert float(run.state.scales["d"].scale) < 1


def test_scales_of_a_checkpoint_are_restored(monkeypatch):
    run, other = half(monkeypatch).play(), half(monkeypatch)
    run.state.scales["d"].scale.fill_(2.0**7)
    other.state.load(run.state.tensors(), 6, "here")
    assert float(other.state.scales["d"].scale) == 2.0**7
    assert int(other.state.scales["g"].streak) == 6
    exact = game()
    exact.state.load(run.state.tensors(), 6, "here")  # another precision has no scales
    other.state.load(exact.state.tensors(), 6, "here")
    assert float(other.state.scales["d"].scale) == 2.0**7
