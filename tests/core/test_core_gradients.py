"""One update: the gradient is that of the loss, a bad one never reaches the weights, a frozen network gets none."""

import math

import pytest
import torch
from torch import Tensor, nn

from gantrain.core.gradients import descend, differentiate, frozen, total_norm
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


def optimizer(w: Tensor) -> torch.optim.Optimizer:
    """Adam with moments, so that an update is made even of a gradient of 0."""
    adam = torch.optim.Adam([w], lr=0.1)
    w.grad = torch.ones_like(w)
    adam.step()
    return adam


def test_gradient_norm_is_over_all_weights_of_the_loss_alone():
    a, b = nn.Parameter(torch.tensor([3.0])), nn.Parameter(torch.tensor([[1.0, 2.0]]))
    sgd = torch.optim.SGD([a, b], lr=0.5)
    a.grad = torch.tensor([100.0])  # what an earlier update left
    norm = differentiate(a.square().sum() + (b * torch.tensor([[4.0, -5.0]])).sum(), sgd, "d")
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
    norm = descend(0.5 * w.square().sum(), torch.optim.SGD([w], lr=0.25), "g")
    assert w.tolist() == [0.75, 1.5, 3.0]
    assert norm.item() == pytest.approx(math.sqrt(21), rel=1e-6)


@pytest.mark.parametrize("name", BAD_LOSSES)
@pytest.mark.parametrize("player", ["d", "g"])
def test_what_is_not_finite_stops_before_weights_and_moments(name, player):
    w = weights()
    adam = optimizer(w)
    before = w.detach().clone()
    moments = {key: value.clone() for key, value in adam.state[w].items()}
    with pytest.raises(Diverged, match=rf"^loss/{player}: .*lower optimizer\.{player}_lr") as fault:
        descend(BAD_LOSSES[name](w), adam, player)
    assert fault.value.exit_code == 6
    assert torch.equal(w, before)
    assert all(torch.equal(adam.state[w][key], value) for key, value in moments.items())


def test_gradient_error_names_the_loss_or_the_gradient():
    w = weights()
    for name, cause in [("nan loss", "loss"), ("nan gradient of a finite loss", "gradient")]:
        with pytest.raises(Diverged, match=f"the {cause} is not finite"):
            differentiate(BAD_LOSSES[name](w), torch.optim.SGD([w], lr=1.0), "d")


def test_gradient_error_of_a_metric_names_no_missing_key():
    w = weights()
    with pytest.raises(Diverged, match=r"loss/refit: .*leave the metric that trains it out"):
        differentiate(w.sum() * math.nan, optimizer(w), "refit")


def test_frozen_has_input_gradients_and_no_weight_gradients():
    D = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x = torch.randn(5, 3, requires_grad=True)
    (expected,) = torch.autograd.grad(D(x).sum(), x)
    with frozen(D):
        D(x).sum().backward()
    assert torch.equal(x.grad, expected)
    assert all(p.grad is None for p in D.parameters())


def test_frozen_restores_what_was_frozen_before():
    D = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    D[0].weight.requires_grad_(False)  # random features, say
    flags = [p.requires_grad for p in D.parameters()]
    with frozen(D):
        assert not any(p.requires_grad for p in D.parameters())
    assert [p.requires_grad for p in D.parameters()] == flags
    with pytest.raises(RuntimeError), frozen(D):
        D(torch.zeros(1, 99))
    assert [p.requires_grad for p in D.parameters()] == flags == [False, True, True, True]
