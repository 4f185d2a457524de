"""Laws that hold for every registered penalty, so that a new file is tested by being there."""

import copy

import pytest
import torch
from penalty_costs import cost_of
from torch import Tensor, nn

import gantrain.penalties  # noqa: F401  (registers every penalty)
from gantrain.core.spec import Spec
from gantrain.models.mlp import MLP
from gantrain.penalties.base import Penalty
from gantrain.registry import REGISTERED, build

NAMES = sorted(name for name in REGISTERED["penalty"] if name != "sum")
every_penalty = pytest.mark.parametrize("name", NAMES)
KINDS = REGISTERED["penalty"]
every_cost = pytest.mark.parametrize(
    "name", [name for name in NAMES if KINDS[name].active and KINDS[name].player == "d"]
)
SPEC = Spec((2, 3, 3), classes=3)


def make(name: str) -> Penalty:
    penalty = build("penalty", {"name": name})
    penalty.resolve(SPEC, 6)
    return penalty


@pytest.fixture
def game() -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """A conditional D, data, samples and their conditions."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        D = MLP(width=16, condition="concat").build(SPEC)[1]
    real, fake = torch.randn(2, 6, *SPEC.shape, generator=generator)
    return D, real, fake, torch.arange(6) % 3


@every_penalty
def test_penalty_has_the_name_it_is_registered_under(name):
    assert make(name).name == name


@every_cost
def test_penalty_is_one_finite_number_at_least_0(name, game):
    cost = cost_of(make(name), *game)
    assert cost.shape == ()
    assert cost.dtype == torch.float32
    assert torch.isfinite(cost)
    assert cost >= 0


@every_penalty
def test_penalty_is_due_at_some_step_exactly_when_active(name):
    penalty = make(name)
    assert any(penalty.weight(step) is not None for step in range(100)) == penalty.active


@every_cost
def test_penalty_costs_something_and_has_gradients_for_d(name, game):
    D, penalty = game[0], make(name)
    cost = cost_of(penalty, *game)
    assert cost > 0
    cost.backward()
    assert sum(p.grad.abs().sum() for p in D.parameters() if p.grad is not None) > 0


@every_cost
def test_penalty_of_a_flat_d_has_a_finite_gradient(name, game):
    """The norm of a gradient of 0 has no derivative; a NaN there would end the run."""
    D, *rest = game
    with torch.no_grad():
        for parameter in D.parameters():
            parameter.zero_()
    cost = cost_of(make(name), D, *rest)
    assert torch.isfinite(cost)
    cost.backward()
    assert all(torch.isfinite(p.grad).all() for p in D.parameters() if p.grad is not None)


@every_cost
def test_penalty_leaves_weights_gradients_and_samples(name, game):
    D, real, fake, y = game
    before, samples = copy.deepcopy(D.state_dict()), (real.clone(), fake.clone())
    cost_of(make(name), D, real, fake, y)
    assert all(torch.equal(before[key], value) for key, value in D.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in D.parameters())
    for x, was in zip((real, fake), samples, strict=True):
        assert torch.equal(x, was)
        assert not x.requires_grad


@every_cost
def test_penalty_draws_from_its_generator_alone(name, game):
    state = torch.random.get_rng_state()
    first = cost_of(make(name), *game)
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = cost_of(make(name), *game)
    assert torch.equal(first, again)


@every_cost
def test_penalty_keeps_conditions_with_their_samples(name, game):
    """A D that reads its condition is penalised at the conditions it is trained with."""
    D, real, fake, y = game
    assert cost_of(make(name), D, real, fake, y) != cost_of(make(name), D, real, fake, (y + 1) % 3)
