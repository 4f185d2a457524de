"""The factor on a loss in float16: exact, and as large as its gradients allow."""

import torch

from gantrain.core.loss_scale import INTERVAL, MAX_SCALE, START, LossScale

CPU = torch.device("cpu")
YES, NO = torch.tensor(True), torch.tensor(False)


def test_scaled_gradients_come_back_exactly():
    scale, weight = LossScale.create(CPU), torch.randn(5, requires_grad=True)
    loss = (weight.square() * torch.randn(5)).sum()
    (plain,) = torch.autograd.grad(loss, weight, retain_graph=True)
    found = list(torch.autograd.grad(loss * scale.scale, weight))
    scale.unscale(found)
    assert torch.equal(found[0], plain)


def test_scale_halves_after_an_overflow_and_doubles_in_time():
    scale = LossScale.create(CPU)
    for _ in range(INTERVAL - 1):
        scale.adapt(YES)
    assert (float(scale.scale), int(scale.streak)) == (START, INTERVAL - 1)
    scale.adapt(NO)
    assert (float(scale.scale), int(scale.streak)) == (START / 2, 0)
    for _ in range(INTERVAL):
        scale.adapt(YES)
    assert (float(scale.scale), int(scale.streak)) == (START, 0)
    scale.scale.fill_(MAX_SCALE)
    for _ in range(INTERVAL):
        scale.adapt(YES)
    assert float(scale.scale) == MAX_SCALE


def test_scale_is_exhausted_once_the_gradient_itself_overflows():
    scale, halvings = LossScale.create(CPU), 0
    while not scale.is_exhausted:
        scale.adapt(NO)
        halvings += 1
    assert 2.0**-halvings * START == 0.5


def test_scale_keeps_a_gradient_that_float16_alone_loses():
    scale, weight = LossScale.create(CPU), torch.tensor(1.0, requires_grad=True)
    tiny = torch.tensor(1e-8)  # below the least number of float16, 6e-8

    def slope(factor: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad((weight.half() * 1.0).float() * tiny * factor, weight)[0]

    assert float(slope(torch.tensor(1.0))) == 0.0
    found = [slope(scale.scale)]
    scale.unscale(found)
    assert abs(float(found[0]) / 1e-8 - 1) < 1e-3
