"""A function of stacked tensors as the list of its operations, costly ones replaced by equal ones that cost less."""

from __future__ import annotations

from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

Operation = Any  # a node of a graph, whose arguments have a type that fits none of their uses
aten = torch.ops.aten
VIEWS = (aten.view.default, aten._unsafe_view.default, aten.expand.default, aten.alias.default)
FEW_COLUMNS = (
    8  # of a product, up to which the CPU's library is two to ten times as fast with its sides exchanged
)


def graph_of(function: Callable[..., Any], leaves: list[Tensor]) -> GraphModule:
    """Return a function of tensors as a graph of operations, without Python between them."""
    with torch.no_grad():
        graph = make_fx(function, tracing_mode="fake")(*leaves)
    simplify(graph)
    return graph


def compile_graph(graph: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """Return a graph that is compiled at its first call."""
    # Its inputs never change but in their numbers, and to compare them with the first ones takes time.
    options: dict[str, Any] = {"guard_filter_fn": lambda guards: [False for _ in guards]}
    if device.type == "cuda":
        options["triton.cudagraphs"] = True
    return torch.compile(graph, fullgraph=True, dynamic=False, options=options)


def simplify(graph: GraphModule) -> None:
    """Replace operations of a graph, in place, by others of the same value up to rounding.

    A vectorised layer is a product, views that change nothing, and the sum of product and bias: half of the calls of a
    step of small networks, and a third of its time.
    """
    nodes: list[Operation] = list(graph.graph.nodes)
    for node in nodes:
        if node.target in VIEWS and _shape(node) == _shape(node.args[0]):
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
        elif node.target is aten.transpose.int and _undoes(node, node.args[0]):
            node.replace_all_uses_with(node.args[0].args[0])
        elif node.target is aten.add.Tensor and not node.kwargs:
            _join_product_and_bias(graph, node)
    nodes = list(graph.graph.nodes)
    for node in nodes:
        if node.target in (aten.bmm.default, aten.baddbmm.default):
            _replace_product(graph, node)
        elif node.target is aten.view.default:
            node.target = aten.reshape.default  # of a product whose sides were exchanged it may be no view
    for node in graph.graph.nodes:
        _call_directly(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _shape(node: Operation) -> tuple[int, ...]:
    return tuple(node.meta["val"].shape)


def _undoes(node: Operation, before: Operation) -> bool:
    """Return whether a transposition undoes the one before it."""
    return bool(before.target is aten.transpose.int and {*node.args[1:]} == {*before.args[1:]})


def _join_product_and_bias(graph: GraphModule, node: Operation) -> None:
    """Replace bias [R, 1, n] + product [R, m, n] by one operation."""
    if not all(isinstance(one, Node) for one in node.args):
        return
    bias, product = node.args
    if product.target is not aten.bmm.default or len(product.users) > 1:
        return
    rows, _, columns = _shape(product)
    if _shape(bias) != (rows, 1, columns):
        return
    if (
        bias.target is aten.view.default
        and bias.args[0].target is aten.mul.Scalar
        and bias.args[0].args[1] == 1
    ):
        with graph.graph.inserting_before(bias):
            bias = _call(graph, bias, aten.view.default, bias.args[0].args[0], bias.args[1])
    with graph.graph.inserting_before(node):
        node.replace_all_uses_with(_call(graph, node, aten.baddbmm.default, bias, *product.args))


def _replace_product(graph: GraphModule, node: Operation) -> None:
    """Replace a product of a column and a row by one without sums, and one of few columns by that of the transposes."""
    *bias, a, b = node.args
    (_, rows, inner), columns = _shape(a), _shape(b)[2]
    with graph.graph.inserting_before(node):
        if inner == 1 and not bias:
            node.replace_all_uses_with(_call(graph, node, aten.mul.Tensor, a, b))
        elif columns <= FEW_COLUMNS and columns < rows:
            exchanged = [graph.graph.call_function(aten.transpose.int, (one, 1, 2)) for one in (*bias, b, a)]
            product = graph.graph.call_function(node.target, tuple(exchanged))
            node.replace_all_uses_with(_call(graph, node, aten.transpose.int, product, 1, 2))


def _call_directly(node: Operation) -> None:
    """Replace an operator by torch's function of that name, which calls the same kernel with half of the overhead."""
    packet = getattr(node.target, "overloadpacket", None)
    function = getattr(torch, packet.__name__, None) if packet else None
    if isinstance(function, BuiltinFunctionType):
        node.target = function


def _call(graph: GraphModule, like: Operation, target: Any, *arguments: Any) -> Operation:
    """Return a new operation whose value has the shape of that of ``like``."""
    made: Operation = graph.graph.call_function(target, arguments)
    made.meta = dict(like.meta)
    return made
