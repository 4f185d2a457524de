"""Graphs of stacked operations: the same function, with fewer calls."""

import pytest
import torch
from torch.func import functional_call, grad, vmap

from gantrain.training.replicas.graph import graph_of

RUNS, N, WIDTH = 3, 20, 16
aten = torch.ops.aten


def network(outputs):
    layers = torch.nn.Linear(2, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, outputs)
    return torch.nn.Sequential(*layers)


def slopes(outputs):
    """Return a vectorised gradient with a penalty on that by the input, and its arguments."""
    module = network(outputs)

    def loss(weights, x):
        def total(x):
            return functional_call(module, weights, x).tanh().sum()

        return total(x) + grad(total)(x).square().sum()

    weights = [{name: one.detach() for name, one in network(outputs).named_parameters()} for _ in range(RUNS)]
    stacked = {name: torch.stack([one[name] for one in weights]) for name in weights[0]}
    return vmap(grad(loss)), stacked, torch.randn(RUNS, N, 2)


def targets(graph):
    return [node.target for node in graph.graph.nodes if node.op == "call_function"]


@pytest.mark.parametrize("outputs", [1, 3])
def test_simplified_graph_is_the_same_function(outputs):
    torch.manual_seed(0)
    function, weights, x = slopes(outputs)

    def on_leaves(*leaves):
        return function(dict(zip(weights, leaves, strict=False)), leaves[-1])

    graph = graph_of(on_leaves, [*weights.values(), x])
    for _ in range(2):
        found, expected = graph(*weights.values(), x), function(weights, x)
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6)
        x = torch.randn_like(x)


def test_layer_is_one_operation_and_an_outer_product_none():
    weights = [torch.randn(RUNS, 32, WIDTH), torch.randn(RUNS, 32)]
    layer = graph_of(vmap(torch.nn.functional.linear), [torch.randn(RUNS, N, WIDTH), *weights])
    assert torch.baddbmm in targets(layer)
    assert not {aten.add.Tensor, torch.add, torch.mul, aten.expand.default} & {*targets(layer)}
    outer = graph_of(torch.bmm, [torch.randn(RUNS, N, 1), torch.randn(RUNS, 1, WIDTH)])
    assert targets(outer) == [torch.mul]


def test_product_of_few_columns_is_that_of_the_transposes():
    a, b = torch.randn(RUNS, 64, N), torch.randn(RUNS, N, 2)
    graph = graph_of(lambda a, b: torch.bmm(a, b).view(RUNS, -1), [a, b])
    assert targets(graph) == [torch.transpose, torch.transpose, torch.bmm, torch.transpose, torch.reshape]
    torch.testing.assert_close(graph(a, b), (a @ b).view(RUNS, -1))


def test_result_that_is_an_input_stays_one():
    def write(old, new):
        old.copy_(new)
        return new.view(new.shape)

    old, new = torch.zeros(RUNS, 2), torch.ones(RUNS, 2)
    graph = graph_of(write, [old, new])
    assert torch.equal(graph(old, new), new)
    assert torch.equal(old, new)
