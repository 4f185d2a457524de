"""A network with given tensors as a pure function, and its methods by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor, nn
from torch.func import functional_call

from gantrain.core.judgement import Judgement


class Network(Protocol):
    """What losses are given of G or D: ``network(x, y)``."""

    def __call__(self, x: Tensor, y: Tensor | None, /) -> Tensor:
        """Return the network's output on x [N, ...] and y."""
        ...


class Methods(nn.Module):
    """A network's methods behind one ``forward``, through which ``functional_call`` reaches each of them.

    It is made before a step is compiled, where no module can be.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, name: str, *args: Any) -> Any:
        return getattr(self.network, name)(*args)


class PureNetwork:
    """A network with given tensors.

    Args:
        methods: Of the network, whose own tensors are read where none is given.
        tensors: Weights and buffers by name.
        statistics: Those of batch norm that passes leave alone: each moves a copy.
    """

    def __init__(
        self, methods: Methods, tensors: Mapping[str, Tensor], statistics: Mapping[str, Tensor] | None = None
    ):
        self._methods, self._tensors, self._statistics = methods, dict(tensors), dict(statistics or {})

    def __call__(self, x: Tensor, y: Tensor | None, /) -> Tensor:
        output: Tensor = functional_call(self._methods.network, self._of_pass(), (x, y))
        return output

    def method(self, name: str) -> Callable[..., Any]:
        """Return a method with these tensors."""

        def call(*args: Any) -> Any:
            tensors = {f"network.{key}": t for key, t in self._of_pass().items()}
            return functional_call(self._methods, tensors, (name, *args))

        return call

    def with_tensors(self, tensors: Mapping[str, Tensor]) -> PureNetwork:
        """Return the network with further tensors."""
        return PureNetwork(self._methods, self._tensors | dict(tensors), self._statistics)

    def still(self, statistics: Mapping[str, Tensor]) -> PureNetwork:
        """Return the network with passes that leave these statistics alone, or those of its tensors by that name."""
        own = {name: self._tensors.get(name, value) for name, value in statistics.items()}
        return PureNetwork(self._methods, self._tensors, own)

    def _of_pass(self) -> dict[str, Tensor]:
        """Return the tensors of one pass."""
        # Copied within it, since a derivative allows no change of a tensor from outside.
        return self._tensors | {name: value.clone() for name, value in self._statistics.items()}


def method_of(network: Network, name: str) -> Callable[..., Any]:
    """Return a method of a network."""
    return network.method(name) if isinstance(network, PureNetwork) else getattr(network, name)


def judge(D: Network, x: Tensor, y: Tensor | None, needs: frozenset[str]) -> Judgement:
    """Return what D says of samples, in float32: its logit alone where nothing else is needed."""
    said: Judgement = method_of(D, "judge")(x, y) if needs else Judgement(D(x, y))
    return said.float()
