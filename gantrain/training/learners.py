"""What a step needs of G, D and the average of G while they are trained: the contract of both kinds of play."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gantrain.core.gradients import Derivatives, Weights
from gantrain.core.memory import Memory
from gantrain.core.schedules import Numbers
from gantrain.core.update_rules import Moments
from gantrain.optimizers.base import OptimizerOptions
from gantrain.penalties.base import Penalty
from gantrain.training.networks import Methods, Network, PureNetwork

Aux = dict[str, dict[str, Tensor]]  # what a loss computes along the way: 0-dim tags, and memories, by name
Batch = tuple[Tensor, Tensor | None]  # a network's inputs x [N, ...] and y
Loss = Callable[[Network], tuple[Tensor, Aux]]


class Learner(ABC):
    """A network and its optimizer while they are trained.

    Attributes:
        derivatives: The means to differentiate twice that fit this kind of play.
        methods: Those of the network.
        rule: Its update rule.
        network: ``network(x, y)`` with the present weights, differentiable with respect to ``x``.
        weights: The trainable weights by name.
        moments: Those of the rule.
    """

    derivatives: type[Derivatives]
    methods: Methods
    rule: OptimizerOptions
    weights: Weights
    moments: Moments

    @property
    @abstractmethod
    def network(self) -> Network:
        """The network with its present weights, whose passes leave its running statistics alone."""

    @abstractmethod
    def with_weights(self, weights: Weights) -> Network:
        """Return the same with other weights, differentiable with respect to these too."""

    @property
    @abstractmethod
    def statistics(self) -> dict[str, Tensor]:
        """What passes move in training, such as running statistics of batch norm, by name."""

    def still(self, network: Network) -> Network:
        """Return what a loss is given of this network, with passes that leave its running statistics alone."""
        if not (statistics := self.statistics):
            return network
        pure = network if isinstance(network, PureNetwork) else PureNetwork(self.methods, {})
        return pure.still(statistics)

    def bind(self, network: Network, tensors: Mapping[str, Tensor]) -> Network:
        """Return the same with further tensors by name, such as the masks of dropout."""
        if not tensors:
            return network
        pure = network if isinstance(network, PureNetwork) else PureNetwork(self.methods, {})
        return pure.with_tensors(tensors)

    @abstractmethod
    def sample(self, inputs: Sequence[Batch]) -> list[Tensor]:
        """Return the network's outputs on each part of a batch without a graph; batch statistics move once."""

    @abstractmethod
    def refresh(self) -> None:
        """Make one power iteration where the network has spectral norms."""

    @abstractmethod
    def differentiate(self, losses: Sequence[Loss], inputs: Sequence[Batch] = ()) -> tuple[Tensor, Aux]:
        """Keep the gradient of the mean loss of all parts of a batch for ``update``.

        Args:
            losses: Of the own parts, in order.
            inputs: The only ones that each of the losses gives to the network, if it has no others.

        Returns:
            The gradient's norm, 0-dim, and the means of what the losses computed along the way.
        """

    @abstractmethod
    def update(self, lr: float | Tensor, keys: Numbers, penalty: Penalty | None = None) -> None:
        """Apply the gradient that was kept, then project the weights as the penalty wants.

        Args:
            lr: The learning rate.
            keys: Other keys of the update rule, as they are in this step.
            penalty: That on the network.
        """


class Average(ABC):
    """The moving average of G's weights."""

    @abstractmethod
    def track(self, inputs: Sequence[Batch]) -> None:
        """Move its own batch statistics by a pass over each part of a batch, if it has any."""

    @abstractmethod
    def update(self, G: Any, rate: float | Tensor) -> None:
        """Move the weights by the fraction ``rate`` towards G's; copy its buffers, but for batch statistics."""


@dataclass
class Players:
    """All that a step changes.

    Attributes:
        G: The generator.
        D: The discriminator.
        average: The average of G.
        memory: What penalties and augmentation keep.
    """

    G: Learner
    D: Learner
    average: Average
    memory: Memory
