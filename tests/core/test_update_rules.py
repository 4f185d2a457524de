"""Update rules are those of torch.optim, pure and in place, and go on from what torch's optimizers saved."""

import copy

import pytest
import torch
from torch import Tensor

from gantrain.core.update_rules import Moments
from gantrain.optimizers.adam import Adam
from gantrain.optimizers.base import OptimizerOptions
from gantrain.optimizers.rmsprop import RMSprop
from gantrain.optimizers.sgd import SGD
from gantrain.training.state import load_moments

RATE, UPDATES = 0.03, 20
RULES = {
    "adam": (Adam(beta1=0.5, beta2=0.99), lambda w: torch.optim.Adam(w, RATE, (0.5, 0.99), fused=True)),
    "adam of mean 0": (Adam(beta1=0), lambda w: torch.optim.Adam(w, RATE, (0.0, 0.99), fused=True)),
    "rmsprop": (RMSprop(alpha=0.9), lambda w: torch.optim.RMSprop(w, RATE, 0.9)),
    "sgd": (SGD(), lambda w: torch.optim.SGD(w, RATE)),
    "sgd with momentum": (SGD(momentum=0.8), lambda w: torch.optim.SGD(w, RATE, 0.8)),
}
every_rule = pytest.mark.parametrize(("rule", "of_torch"), RULES.values(), ids=RULES)


def weights() -> list[Tensor]:
    draws = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=draws) for shape in [(3, 4), (5,), (2, 3, 2, 2)]]


def slopes(update: int) -> list[Tensor]:
    draws = torch.Generator().manual_seed(1 + update)
    return [10.0**update % 7 * torch.randn(w.shape, generator=draws) for w in weights()]


def descent_of_torch(optimizer: torch.optim.Optimizer, updates: range) -> list[Tensor]:
    """Return the weights after these updates of a torch optimizer."""
    found = optimizer.param_groups[0]["params"]
    for update in updates:
        for weight, slope in zip(found, slopes(update), strict=True):
            weight.grad = slope
        optimizer.step()
    return found


def descent(rule: OptimizerOptions, w: list[Tensor], moments: Moments, updates: range) -> list[Tensor]:
    """Return new weights after these updates, none of which writes to a tensor."""
    for update in updates:
        before = copy.deepcopy((w, moments))
        after, moved = rule.update(w, slopes(update), moments, RATE)
        assert all(torch.equal(a, b) for a, b in zip(w, before[0], strict=True))
        assert all(
            torch.equal(a, b) for name in moments for a, b in zip(moments[name], before[1][name], strict=True)
        )
        w, moments = after, moved
    return w


def is_near(found: list[Tensor], expected: list[Tensor]) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(torch.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in pairs)


@every_rule
def test_update_rule_is_that_of_torch(rule, of_torch):
    expected = descent_of_torch(of_torch(weights()), range(UPDATES))
    assert is_near(descent(rule, weights(), rule.init(weights()), range(UPDATES)), expected)


@every_rule
def test_update_in_place_is_the_pure_one(rule, of_torch):
    w = weights()
    moments = rule.init(w)
    for update in range(UPDATES):
        rule.update_in_place(w, slopes(update), moments, RATE)
    expected = descent_of_torch(of_torch(weights()), range(UPDATES))
    assert is_near(w, expected)
    if isinstance(rule, Adam):  # one kernel
        assert all(torch.equal(a, b) for a, b in zip(w, expected, strict=True))


@every_rule
def test_update_that_is_refused_changes_no_tensor(rule, of_torch):
    w = weights()
    moments = rule.init(w)
    rule.update_in_place(w, slopes(0), moments, RATE, torch.zeros(()))
    before = copy.deepcopy((w, moments))
    bad = [torch.full_like(weight, torch.nan) for weight in w]
    rule.update_in_place(w, bad, moments, RATE, torch.ones(()))
    assert all(torch.equal(a, b) for a, b in zip(w, before[0], strict=True))
    assert all(
        torch.equal(a, b) for name in moments for a, b in zip(moments[name], before[1][name], strict=True)
    )
    rule.update_in_place(w, slopes(1), moments, RATE, torch.zeros(()))
    assert is_near(w, descent_of_torch(of_torch(weights()), range(2)))


@every_rule
def test_update_rule_goes_on_from_what_torch_saved(rule, of_torch):
    optimizer = of_torch(weights())
    w = [weight.clone() for weight in descent_of_torch(optimizer, range(3))]
    saved = {
        f"opt_D/{index}/{name}": value.clone()
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
        if value is not None
    }
    moments = rule.init(w)
    load_moments(moments, saved, "opt_D", list(range(len(w))))
    assert is_near(descent(rule, w, moments, range(3, 8)), descent_of_torch(optimizer, range(3, 8)))
