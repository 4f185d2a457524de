"""What a penalty is: a cost on D's gradients or outputs, or a rule on its weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from gantrain.registry import option


class Penalty:
    """A cost on D for one discriminator update, or a rule on its weights after it.

    Attributes:
        name: The registered name.
        active: Whether there is a cost to add to D's loss at all; without one it is never called.
        differentiates_input: Whether the cost differentiates D by its input, for each sample on its own.
    """

    name: str
    active: ClassVar[bool] = True
    differentiates_input: ClassVar[bool] = False

    def at(self, step: int, horizon: int) -> Self | None:
        """Return the penalty as it is in the update after ``step`` finished ones, or None when it rests."""
        return self if self.active else None

    def __call__(
        self,
        D: nn.Module,
        real: Tensor,
        fake: Tensor,
        y: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the cost, 0-dim float32.

        Args:
            D: The discriminator, ``D(x, y)`` to logits [N].
            real: Data, shape [N, ...].
            fake: Samples without a graph, shape [N, ...].
            y: Conditions of both, or None.
            generator: Source of the penalty's own randomness, on the CPU.
        """
        raise NotImplementedError

    def project(self, D: nn.Module) -> None:
        """Put D's weights back where they may be, after its update."""

    def memory(self) -> dict[str, Tensor]:
        """Return what the penalty remembers between updates, for the checkpoint."""
        return {}

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Take over what ``memory`` returned. Raises KeyError when a part is missing."""


@dataclass
class Weighted(Penalty):
    """A cost with a weight that may fall over the run, paid at every update or, more heavily, at some."""

    gamma: float = option(1.0, "weight of the cost", minimum=0)
    gamma_end: float | None = option(
        None, "weight at optimizer.horizon, reached linearly; null keeps gamma", minimum=0
    )
    every: int = option(1, "pay at each n-th step only, n times as much (lazy regularisation)", minimum=1)

    def at(self, step: int, horizon: int) -> Self | None:
        """Return the penalty with this step's weight, or None at a step where it is not paid."""
        if step % self.every:
            return None
        if self.every == 1 and self.gamma_end is None:
            return self
        end = self.gamma if self.gamma_end is None else self.gamma_end
        now = copy.copy(self)  # shares what the penalty remembers
        now.gamma = self.every * (self.gamma + (end - self.gamma) * min(step / horizon, 1.0))
        return now


def input_gradient(D: nn.Module, x: Tensor, y: Tensor | None) -> Tensor:
    """Return each sample's own gradient of D at ``x`` [N, ...], flattened to [N, d], with a graph for D's update."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(D(x, y).sum(), x, create_graph=True)
    return gradient.flatten(1)
