"""Laws that hold for every registered cost on G, so that a new file is tested by being there."""

import pytest
import torch
from small_game import Game, game, gradients, same

import gantrain.penalties  # noqa: F401  (registers every penalty)
from gantrain.penalties.base import GeneratorCost
from gantrain.registry import REGISTERED

COSTS = sorted(name for name, kind in REGISTERED["penalty"].items() if issubclass(kind, GeneratorCost))
every_cost_on_g = pytest.mark.parametrize("name", COSTS)


def play(name: str, **keys: float) -> Game:
    penalty = {"name": name} | keys if name == "none" else {"name": name, "every": 1} | keys
    return game(penalty=penalty, model={"z_dim": 2})


@every_cost_on_g
def test_cost_on_g_is_added_to_its_loss_times_its_weight(name):
    once, twice, free = (play(name, gamma=gamma).move_g() for gamma in (0.5, 1.0, 0.0))
    assert once["loss/g_penalty"].shape == ()
    assert once["loss/g_penalty"] > 0
    torch.testing.assert_close(twice["loss/g_penalty"], 2 * once["loss/g_penalty"])
    assert free["loss/g_penalty"] == 0
    assert once["loss/g"] == free["loss/g"]  # what the game itself costs


@every_cost_on_g
def test_cost_on_g_has_gradients_for_g_and_none_for_d(name):
    costly, plain = play(name), play("none")
    before = costly.tensors("G", "D")
    for one in (costly, plain):
        one.move_g()
    found, expected = gradients(costly.state.G), gradients(plain.state.G)
    assert any(not torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert all(torch.isfinite(one).all() for one in found)
    assert gradients(costly.state.D) == gradients(plain.state.D)
    assert same(before, costly.tensors("G", "D"))


@every_cost_on_g
def test_cost_on_g_leaves_ds_update_as_it_is(name):
    costly, plain = play(name), play("none")
    assert "loss/penalty" not in costly.move_d()
    plain.move_d()
    torch.testing.assert_close(gradients(costly.state.D), gradients(plain.state.D), rtol=0, atol=0)


@every_cost_on_g
def test_cost_on_g_draws_from_its_generator_alone(name):
    first = play(name).move_g()["loss/g_penalty"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        one = play(name)
        state = torch.random.get_rng_state()
        assert torch.equal(one.move_g()["loss/g_penalty"], first)
        assert torch.equal(torch.random.get_rng_state(), state)
