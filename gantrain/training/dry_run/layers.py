"""The layers of a network, with the output shape and the number of parameters of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Attributes:
        name: Its name in the network's ``state_dict``.
        kind: Its class.
        shape: Of its first output; None where it was not called as a module.
        parameters: Number of trainable parameters of its own.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int


def layers(network: nn.Module, call: Callable[[], object]) -> list[Layer]:
    """Return the layers that hold parameters or change a shape, in the order in which they are called.

    Args:
        network: G or D. Parameters that belong to no submodule are a layer too.
        call: Sends a batch through it.
    """
    found: dict[str, Layer] = {}
    inner = {id(m): (name, own) for name, m, own in _parts(network)}

    def record(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        name, own = inner[id(module)]
        before = inputs[0].shape if inputs and isinstance(inputs[0], Tensor) else None
        after = output.shape if isinstance(output, Tensor) else None
        changed = after is not None and before != after and after.numel() > 0
        if name not in found and (own or changed):
            found[name] = Layer(name, _kind(module), None if after is None else tuple(after), own)

    # Hooks record each layer the first time a batch passes through it.
    handles = [module.register_forward_hook(record) for _, module, _ in _parts(network)]
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    # Layers with parameters that are not called as modules.
    for name, module, own in _parts(network):
        if own and name not in found:
            found[name] = Layer(name, _kind(module), None, own)
    return list(found.values())


def _parts(network: nn.Module) -> Iterator[tuple[str, nn.Module, int]]:
    """Yield each layer with its name and its number of parameters; none is counted twice."""
    for name, module in network.named_modules():
        if "parametrizations" in name.split("."):  # spectral norm's belong to the layer it is on
            continue
        own = list(module.parameters(recurse=False))
        if is_parametrized(module):
            own += list(module.parametrizations.parameters())
        if own or not list(module.children()):
            yield name or "(itself)", module, sum(p.numel() for p in own if p.requires_grad)


def _kind(module: nn.Module) -> str:
    return type(module).__name__.removeprefix("Parametrized")


def layer_table(title: str, found: list[Layer]) -> str:
    """Return layers as aligned lines, with the sum of their parameters in the first."""
    rows = [(title, "", "output", "parameters")]
    rows += [
        (
            layer.name,
            layer.kind,
            "" if layer.shape is None else str(list(layer.shape)),
            f"{layer.parameters:,}",
        )
        for layer in found
    ]
    rows.append(("", "", "", f"{count(found):,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join(
        f"{a:{widths[0]}}  {b:{widths[1]}}  {c:{widths[2]}}  {d:>{widths[3]}}".rstrip() for a, b, c, d in rows
    )


def count(found: list[Layer]) -> int:
    """Return how many parameters layers have in all."""
    return sum(layer.parameters for layer in found)
