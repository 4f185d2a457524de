"""Every model is a pure function of its weights: torch.func differentiates it as autograd does, R1 included."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from gantrain.core.spec import Spec
from gantrain.models.auto import Auto
from gantrain.registry import REGISTERED, build

POINT, IMAGE, ODD = Spec((2,), 3), Spec((1, 8, 8), 3), Spec((3, 9, 13), 3)
KEYS = [{"condition": c} for c in ("none", "concat", "projection", "conditional_batch_norm")]
KEYS += [
    {"minibatch_std": True},
    {"packing": 2},
    {"source": "both"},
    {"source": "dropout"},
    {"upsample": "nearest"},
]
KEYS += [{"d_activation": word} for word in ("leaky_relu", "tanh", "elu")]


def fits(name: str, keys: dict, spec: Spec) -> bool:
    cls = REGISTERED["model"][name]
    known = keys.keys() <= cls.__dataclass_fields__.keys()
    return known and cls is not Auto and cls(**keys).why_unsupported(spec) is None


CASES = [
    pytest.param(
        name, keys, spec, id=f"{name}-{'-'.join(map(str, keys.values()))}-{'x'.join(map(str, spec.shape))}"
    )
    for name in sorted(REGISTERED["model"])
    for keys in KEYS
    for spec in (POINT, IMAGE, ODD)
    if fits(name, keys, spec)
]


def g_cost(run: Callable[..., Tensor], z: Tensor, y: Tensor | None) -> Tensor:
    return run(z, y).square().sum()


def d_cost(run: Callable[..., Tensor], x: Tensor, y: Tensor | None) -> Tensor:
    return torch.nn.functional.softplus(-run(x, y)).mean()


def by_autograd(network: nn.Module, cost: Callable, given: Tensor, y: Tensor | None) -> dict[str, Tensor]:
    weights = dict(network.named_parameters())
    slopes = torch.autograd.grad(cost(network, given, y), list(weights.values()), materialize_grads=True)
    return dict(zip(weights, slopes, strict=True))


def by_func(network: nn.Module, cost: Callable, given: Tensor, y: Tensor | None) -> tuple[dict, dict]:
    def loss(weights: dict, buffers: dict) -> tuple[Tensor, dict]:
        return cost(lambda *args: functional_call(network, (weights, buffers), args), given, y), buffers

    weights = {name: p.detach() for name, p in network.named_parameters()}
    return grad(loss, has_aux=True)(weights, {name: b.clone() for name, b in network.named_buffers()})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "keys", "spec"), CASES)
def test_torch_func_differentiates_each_player_as_autograd(name, keys, spec):
    torch.manual_seed(0)
    G, D = build("model", {"name": name, "width": 8} | keys).build(spec)
    y = torch.arange(6) % 3
    x = torch.rand(6, *spec.shape) * 2 - 1
    for network, cost, given in ((G, g_cost, G.latents(6, torch.Generator().manual_seed(1))), (D, d_cost, x)):
        found, buffers = by_func(network, cost, given, y)
        expected = by_autograd(
            network, cost, given, y
        )  # in train mode this moves the batch statistics, as above
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(buffers, dict(network.named_buffers()))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "keys", "spec"), CASES)
def test_torch_func_differentiates_r1_as_autograd(name, keys, spec):
    torch.manual_seed(0)
    D = build("model", {"name": name, "width": 8} | keys).build(spec)[1]
    x, y = torch.rand(6, *spec.shape) * 2 - 1, torch.arange(6) % 3

    def functional(run: Callable[..., Tensor], x: Tensor, y: Tensor) -> Tensor:
        return grad(lambda x: run(x, y).sum())(x).square().sum()

    def graph(run: Callable[..., Tensor], x: Tensor, y: Tensor) -> Tensor:
        x = x.clone().requires_grad_(True)
        return torch.autograd.grad(run(x, y).sum(), x, create_graph=True)[0].square().sum()

    torch.testing.assert_close(by_func(D, functional, x, y)[0], by_autograd(D, graph, x, y))
