"""One update: the gradient is that of the loss, a bad one never reaches the weights, other networks get none."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from gantrain.core.gradients import Autograd, Functional, descend, differentiate, total_norm
from gantrain.core.update_rules import Adam
from gantrain.errors import Diverged

BAD_LOSSES = {
    "nan loss": lambda w: w.sum() * math.nan,
    "infinite loss": lambda w: w.sum() / 0.0,
    "minus infinite loss": lambda w: -w.sum() / 0.0,
    "nan gradient of a finite loss": lambda w: (w * 0).sqrt().sum(),
    "infinite gradient of a finite loss": lambda w: (w - w.detach()).sqrt().sum(),
    "one bad weight of many": lambda w: (w[:1] * 0).sqrt().sum() + w.square().sum(),
    "gradient beyond float32 in norm": lambda w: 3e38 * (w - w.detach()).sum(),
}


def weights() -> nn.Parameter:
    return nn.Parameter(torch.tensor([1.0, 2.0, 4.0]))


def optimizer(w: Tensor) -> Adam:
    """Adam with moments, so that an update is made even of a gradient of 0."""
    adam = Adam([w], lr=0.1)
    w.grad = torch.ones_like(w)
    adam.step()
    return adam


def test_gradient_norm_is_over_all_weights_of_the_loss_alone():
    a, b = nn.Parameter(torch.tensor([3.0])), nn.Parameter(torch.tensor([[1.0, 2.0]]))
    a.grad = torch.tensor([100.0])  # what an earlier update left
    norm = differentiate(a.square().sum() + (b * torch.tensor([[4.0, -5.0]])).sum(), [a, b], "d")
    assert a.grad.tolist() == [6.0]
    assert b.grad.tolist() == [[4.0, -5.0]]
    assert norm.item() == pytest.approx(math.sqrt(36 + 16 + 25), rel=1e-6)
    assert (a.item(), b.tolist()) == (3.0, [[1.0, 2.0]])


@pytest.mark.parametrize("seed", range(5))
def test_the_norm_over_all_weights_is_torchs_bit_for_bit(seed):
    draws = torch.Generator().manual_seed(seed)
    shapes = [(), (1,), (128,), (3, 5), (64, 128), (4, 3, 4, 4), (0,)][: 3 + seed]
    parts = [torch.randn(shape, generator=draws) * 10.0 ** (seed - 2) for shape in shapes]
    parts += [torch.randn(8, 3, 4, 4, generator=draws).to(memory_format=torch.channels_last)]
    assert torch.equal(total_norm(parts), torch.nn.utils.get_total_norm(parts))
    whole = torch.cat([part.double().flatten() for part in parts]).norm()
    assert float(total_norm(parts)) == pytest.approx(float(whole), rel=1e-6)


def test_descend_goes_one_step_down():
    w = weights()
    norm = descend(0.5 * w.square().sum(), Adam([w], lr=0.25), "g")
    assert w.tolist() == pytest.approx([0.75, 1.75, 3.75])  # Adam's first step has the length of its rate
    assert norm.item() == pytest.approx(math.sqrt(21), rel=1e-6)


@pytest.mark.parametrize("name", BAD_LOSSES)
@pytest.mark.parametrize("player", ["d", "g"])
def test_what_is_not_finite_stops_before_weights_and_moments(name, player):
    w = weights()
    adam = optimizer(w)
    before = w.detach().clone()
    moments = copy.deepcopy(adam._moments)
    with pytest.raises(Diverged, match=rf"^loss/{player}: .*lower optimizer\.{player}_lr") as fault:
        descend(BAD_LOSSES[name](w), adam, player)
    assert fault.value.exit_code == 6
    assert torch.equal(w, before)
    assert all(torch.equal(adam._moments[name][0], values[0]) for name, values in moments.items())


def test_gradient_error_names_the_loss_or_the_gradient():
    w = weights()
    for name, cause in [("nan loss", "loss"), ("nan gradient of a finite loss", "gradient")]:
        with pytest.raises(Diverged, match=f"the {cause} is not finite"):
            differentiate(BAD_LOSSES[name](w), [w], "d")


def test_gradient_error_of_a_metric_names_no_missing_key():
    w = weights()
    with pytest.raises(Diverged, match=r"loss/refit: .*leave the metric that trains it out"):
        differentiate(w.sum() * math.nan, [w], "refit")


def test_gradient_of_g_passes_through_d_and_leaves_its_weights():
    D, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)), nn.Parameter(torch.randn(5, 3))
    (expected,) = torch.autograd.grad(D(x).sum(), x)
    differentiate(D(x).sum(), [x], "g")
    assert torch.equal(x.grad, expected)
    assert all(p.grad is None and p.requires_grad for p in D.parameters())


def test_gradient_of_a_weight_that_the_loss_does_not_use_is_0():
    w, other = weights(), weights()
    assert differentiate(w.sum(), [w, other], "d").item() == pytest.approx(math.sqrt(3))
    assert other.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("derivatives", [Autograd, Functional])
def test_derivatives_of_both_plays_are_twice_differentiable(derivatives):
    a = torch.tensor([0.5, -1.5, 2.0], dtype=torch.float64, requires_grad=True)
    x = torch.randn(4, 3, dtype=torch.float64)

    def slope(a: Tensor) -> Tensor:
        value, slope = derivatives.by_input(lambda x: (x * a).sum(1).square(), x)
        assert torch.allclose(value, (x @ a).square())
        return slope

    torch.testing.assert_close(slope(a), 2 * (x @ a)[:, None] * a)
    assert torch.autograd.gradcheck(slope, a)
    assert not x.requires_grad

    def steps(a: Tensor) -> Tensor:
        found = derivatives.by_weights(lambda w: (w["used"] ** 3 * a).sum(), {"used": a * 1, "unused": a * 2})
        assert not found["unused"].any()
        return found["used"]

    torch.testing.assert_close(steps(a), 3 * a**3)
    assert torch.autograd.gradcheck(steps, a)
