"""R1 is gamma / 2 times the mean over samples of each sample's own squared input gradient of the logit."""

import math

import pytest
import torch
from penalty_costs import cost_of
from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.models.dcgan import DCGAN
from gantrain.models.mlp import MLP
from gantrain.penalties.r1 import R1, R1R2


class Linear(nn.Module):
    """D(x) = <a, x>."""

    def __init__(self, a: Tensor):
        super().__init__()
        self.a = nn.Parameter(a)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return (x * self.a).flatten(1).sum(1)


class HalfSquare(nn.Module):
    """D(x) = |x|^2 / 2, whose gradient at x is x."""

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return 0.5 * x.square().flatten(1).sum(1)


def images(n: int, spec: Spec) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    return torch.randn(n, *spec.shape, generator=generator), torch.arange(n) % spec.classes


def discriminator(model, spec: Spec) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        D = model.build(spec)[1]
    with torch.no_grad():
        for parameter in D.parameters():
            parameter.mul_(3)  # so that the penalty is of order 1 and not lost in rounding
    return D


@pytest.mark.parametrize("shape", [(3,), (2, 4, 5)])
@pytest.mark.parametrize("gamma", [0.3, 1.0, 10.0])
def test_r1_of_a_linear_d_is_half_gamma_times_squared_weights(shape, gamma):
    a = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for scale in (0.0, 1.0, 1000.0):
        real = scale * torch.randn(5, *shape, generator=torch.Generator().manual_seed(2))
        cost = cost_of(R1(gamma=gamma), Linear(a), real, real, None)
        assert cost.item() == pytest.approx(gamma / 2 * a.square().sum().item(), rel=1e-6)


def test_r1_norms_are_of_each_sample_not_of_the_batch():
    real = torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]])
    assert cost_of(R1(gamma=2.0), HalfSquare(), real, real, None).item() == pytest.approx(
        (25 + 1 + 0) / 3, rel=1e-6
    )


@pytest.mark.parametrize(
    "model", [MLP(width=32), DCGAN(width=8), DCGAN(width=8, condition="concat")], ids=repr
)
def test_r1_equals_a_loop_over_samples(model):
    spec = Spec((1, 9, 12), classes=3)
    D, (real, y) = discriminator(model, spec), images(6, spec)
    squares = []
    for i in range(len(real)):
        x = real[i : i + 1].clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(D(x, y[i : i + 1])[0], x)
        squares.append(gradient.double().square().sum().item())
    cost = cost_of(R1(gamma=0.7), D, real, real, y).item()
    assert cost == pytest.approx(0.35 * sum(squares) / len(squares), rel=1e-5)
    assert cost > 1e-3


def test_r1_keeps_conditions_with_their_samples():
    spec = Spec((5,), classes=3)
    D, (real, y) = discriminator(MLP(width=16, condition="concat"), spec), images(6, spec)
    assert cost_of(R1(), D, real, real, y).item() != pytest.approx(
        cost_of(R1(), D, real, real, (y + 1) % 3).item(), rel=1e-3
    )


def test_r1_does_not_depend_on_the_batch_size():
    spec = Spec((4,), classes=1)
    D, (real, _) = discriminator(MLP(width=16), spec), images(5, spec)
    once = cost_of(R1(), D, real, real, None).item()
    assert cost_of(R1(), D, real.repeat(7, 1), real, None).item() == pytest.approx(once, rel=1e-5)


def test_r1_gradient_of_a_linear_d_is_gamma_times_its_weights():
    a = torch.tensor([1.0, -2.0, 0.5])
    D, real = Linear(a.clone()), torch.randn(4, 3)
    cost_of(R1(gamma=0.3), D, real, real, None).backward()
    torch.testing.assert_close(D.a.grad, 0.3 * a)


def test_r1_depends_on_the_data_alone_and_leaves_it():
    real = torch.randn(4, 3, generator=torch.Generator().manual_seed(5))
    before = real.clone()
    D = HalfSquare()
    assert torch.equal(
        cost_of(R1(), D, real, torch.zeros(4, 3), None), cost_of(R1(), D, real, torch.full((9, 3), 1e6), None)
    )
    assert torch.equal(real, before)
    assert not real.requires_grad
    assert real.grad is None


@pytest.mark.parametrize(
    ("shape", "batch", "r1", "r1r2"),
    [
        ((3, 32, 32), 512, 4e-4, 0.05),
        ((1, 64, 64), 64, 0.0128, 2.0),
        ((3, 256, 256), 32, 0.4096, 150.0),
        ((3, 1024, 1024), 32, 6.5536, 150.0),
        ((1, 28, 28), 64, 2e-4 * 28**2 / 64, 0.05),
        ((3, 128, 128), 32, 2e-4 * 128**2 / 32, math.sqrt(2 * 150)),  # midway between 64 and 256
        ((3, 64, 256), 32, 2e-4 * 128**2 / 32, math.sqrt(2 * 150)),
        ((2,), 256, 1.0, 1.0),
    ],
)
def test_open_gamma_goes_by_resolution_and_batch(shape, batch, r1, r1r2):
    found = [R1(gamma=None), R1R2()]
    chosen = [penalty.resolve(Spec(shape), batch) for penalty in found]
    assert [penalty.gamma for penalty in found] == pytest.approx([r1, r1r2], rel=5e-4)
    assert chosen == [{"gamma": penalty.gamma} for penalty in found]
    # A number that is set stays.
    assert R1R2(gamma=0.3).resolve(Spec(shape), batch) == {}


@pytest.mark.parametrize(
    "keys",
    [{"minibatch_std": True}, {"d_norm": "batch"}, {"packing": 2}, {"minibatch_std": True, "packing": 2}],
    ids=str,
)
@pytest.mark.parametrize("penalty", [R1(gamma=2.0), R1R2(gamma=2.0)], ids=["r1", "r1r2"])
def test_r1_of_coupled_samples_is_that_of_the_sum_of_logits(keys, penalty):
    """1 / n of the squared gradient, by all samples of a batch, of the logits' sum, which is that of a D of batches."""
    spec = Spec((3,))
    D = discriminator(MLP(width=8, depth=2, **keys), spec)
    batches = [torch.randn(8, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    expected = 0.0
    for x in batches[: len(penalty.slopes_of)]:
        # d logit_j / d x_i, [logits, n, d], one logit at a time
        by_logit = torch.autograd.functional.jacobian(lambda x: D(x, None), x)
        expected += by_logit.sum(0).square().sum().item() / len(x)
    assert cost_of(penalty, D, *batches).item() == pytest.approx(expected, rel=1e-4)
    own = by_logit.diagonal(dim1=0, dim2=1).square().sum() if len(by_logit) == 8 else by_logit.square().sum()
    assert abs(own.item() / 8 - expected) > 1e-3 or keys == {"packing": 2}
