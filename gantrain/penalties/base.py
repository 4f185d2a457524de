"""The contract of a penalty: a cost on D's gradients or outputs, or a constraint on its weights."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from gantrain.registry import option


class Penalty(ABC):
    """A cost added to D's loss, or a constraint on its weights after each update.

    Attributes:
        name: The registered name.
        active: Whether it adds a cost to D's loss; one that does not is never called.
        differentiates_input: Whether the cost needs D's gradient with respect to each sample on its own.
    """

    name: str
    active: ClassVar[bool] = True
    differentiates_input: ClassVar[bool] = False

    def for_step(self, step: int, horizon: int) -> Self | None:
        """Return the penalty for the update after ``step`` finished steps, or None; schedules end at ``horizon``."""
        return self if self.active else None

    @abstractmethod
    def __call__(
        self, D: nn.Module, real: Tensor, fake: Tensor, y: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Return the cost, 0-dim float32.

        Args:
            D: The discriminator, ``D(x, y)`` to logits [N].
            real: Data, shape [N, ...].
            fake: Samples without a graph, shape [N, ...].
            y: Conditions of both, or None.
            generator: Source of the penalty's randomness, on the CPU.
        """

    def project(self, D: nn.Module) -> None:  # noqa: B027 (a hook)
        """Project D's weights in place onto the feasible set, after an update."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors that the penalty keeps between updates, for the checkpoint."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027 (a hook)
        """Restore what ``state_dict`` returned. Raises KeyError when a tensor is missing."""


class Constraint(Penalty):
    """A penalty without a cost: at most it projects D's weights."""

    active = False

    def __call__(
        self, D: nn.Module, real: Tensor, fake: Tensor, y: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        return torch.zeros(())


@dataclass
class Weighted(Penalty):
    """A cost with a weight that may change linearly over the run."""

    gamma: float = option(1.0, "weight of the cost", minimum=0)
    gamma_end: float | None = option(
        None, "weight at optimizer.horizon, reached linearly; null keeps gamma", minimum=0
    )
    every: int = option(
        1, "apply it at every n-th step only, with n times the weight (lazy regularisation)", minimum=1
    )

    def for_step(self, step: int, horizon: int) -> Self | None:
        # Lazy regularisation (Karras et al. 2020, app. B): n times the weight at each n-th step.
        if step % self.every:
            return None
        if self.every == 1 and self.gamma_end is None:
            return self
        end = self.gamma if self.gamma_end is None else self.gamma_end
        now = copy.copy(self)  # shallow: shares the running state
        now.gamma = self.every * (self.gamma + (end - self.gamma) * min(step / horizon, 1.0))
        return now


def input_gradient(D: nn.Module, x: Tensor, y: Tensor | None) -> Tensor:
    """Return D's gradient with respect to each sample of ``x`` [N, ...], as [N, d], with a graph for D's update."""
    x = x.detach().requires_grad_(True)
    # The sum's gradient holds each sample's own, as long as D does not couple samples.
    (gradient,) = torch.autograd.grad(D(x, y).sum(), x, create_graph=True)
    return gradient.flatten(1)
