"""The factor on a loss in float16: exact, and as large as its gradients allow."""

import torch

from gantrain.core.loss_scale import INTERVAL, MAX_SCALE, START, LossScale

CPU = torch.device("cpu")
YES, NO = torch.tensor(True), torch.tensor(False)


def test_scaled_gradients_come_back_exactly():
    scale, weight = LossScale.create(CPU), torch.randn(5, requires_grad=True)
    loss = (weight.square() * torch.randn(5)).sum()
    (plain,) = torch.autograd.grad(loss, weight, retain_graph=True)
    scaled = torch.autograd.grad(loss * scale.scale, weight)
    (found,) = scale.unscale(list(scaled))
    assert torch.equal(found, plain)


def test_scale_halves_after_an_overflow_and_doubles_in_time():
    scale = LossScale.create(CPU)
    assert float(scale.after(NO).scale) == START / 2
    for _ in range(INTERVAL - 1):
        scale = scale.after(YES)
    assert (float(scale.scale), int(scale.streak)) == (START, INTERVAL - 1)
    assert int(scale.after(NO).streak) == 0
    grown = scale.after(YES)
    assert (float(grown.scale), int(grown.streak)) == (2 * START, 0)
    assert float(LossScale(torch.tensor(MAX_SCALE), scale.streak).after(YES).scale) == MAX_SCALE


def test_scale_is_exhausted_once_the_gradient_itself_overflows():
    scale, halvings = LossScale.create(CPU), 0
    while not scale.is_exhausted:
        scale, halvings = scale.after(NO), halvings + 1
    assert 2.0**-halvings * START == 0.5


def test_scale_keeps_a_gradient_that_float16_alone_loses():
    scale, weight = LossScale.create(CPU), torch.tensor(1.0, requires_grad=True)

    def slope(factor: torch.Tensor) -> torch.Tensor:
        tiny = torch.tensor(1e-8)  # below the least number of float16, 6e-8
        return torch.autograd.grad((weight.half() * 1.0).float() * tiny * factor, weight)[0]

    assert float(slope(torch.tensor(1.0))) == 0.0
    (found,) = scale.unscale([slope(scale.scale)])
    assert abs(float(found) / 1e-8 - 1) < 1e-3
