"""The layers of a network, with the output shape and the number of parameters of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gantrain.core.text import align_columns


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Attributes:
        name: Its name in the network's ``state_dict``.
        kind: Its class.
        shape: Of its first output; None if it was not called as a module.
        parameters: Number of trainable parameters, without those of layers inside it.
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
    parts, called = dict(_parts(network)), {}

    def record(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        # Shapes with the batch, [N, ...].
        before = inputs[0].shape if inputs and isinstance(inputs[0], Tensor) else None
        after = tuple(output.shape) if isinstance(output, Tensor) else None
        changed = after is not None and before != after and 0 not in after
        layer = parts[module]
        if layer.name not in called and (layer.parameters or changed):
            called[layer.name] = replace(layer, shape=after)

    # Hooks record each layer the first time a batch passes through it.
    handles = [module.register_forward_hook(record) for module in parts]
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    # Then layers with parameters that are not called as modules.
    for layer in parts.values():
        if layer.parameters:
            called.setdefault(layer.name, layer)
    return list(called.values())


def _parts(network: nn.Module) -> Iterator[tuple[nn.Module, Layer]]:
    """Yield each module that is a layer, with its parameters; none is counted twice."""
    for name, module in network.named_modules():
        if "parametrizations" in name.split("."):  # spectral norm's belong to the layer it is on
            continue
        weights = list(module.parameters(recurse=False))
        if is_parametrized(module):
            weights += list(module.parametrizations.parameters())
        if weights or not list(module.children()):
            kind = type(module).__name__.removeprefix("Parametrized")
            count = sum(p.numel() for p in weights if p.requires_grad)
            yield module, Layer(name or "(itself)", kind, None, count)


def layer_table(title: str, network: list[Layer]) -> str:
    """Return layers as aligned lines, with the sum of their parameters in the last."""
    rows = [(title, "", "output", "parameters")]
    for layer in network:
        shape = "" if layer.shape is None else str(list(layer.shape))
        rows.append((layer.name, layer.kind, shape, f"{layer.parameters:,}"))
    rows.append(("", "", "", f"{total_parameters(network):,}"))
    width = max(len(number) for *_, number in rows)
    return align_columns([(*cells, number.rjust(width)) for *cells, number in rows])


def total_parameters(network: list[Layer]) -> int:
    """Return the number of parameters of all layers together."""
    return sum(layer.parameters for layer in network)
