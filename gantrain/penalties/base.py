"""The contract of a penalty: a cost on D's gradients or outputs, or a constraint on its weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from gantrain.registry import option

REAL, FAKE = "real", "fake"
Memory = dict[str, Tensor]  # what a penalty keeps between updates


@dataclass(frozen=True)
class Pass:
    """D's pass over one batch in an update of D, as a penalty sees it.

    Attributes:
        real: Data as D sees them, shape [N, ...].
        fake: Samples as D sees them, without a graph, shape [N, ...].
        real_logits: D's outputs on data, shape [N].
        fake_logits: D's outputs on samples, shape [N].
        slopes: D's gradient by each sample, flattened to [N, d], of the kinds that the penalty names in ``slopes_of``.
        slope_at: Returns D's gradient by each of other points [N, ...], as [N, d], under the same conditions.
        draw: What the penalty's ``draw`` returned, on the device.
        memory: What the penalty keeps, after its ``remember`` of these logits.
    """

    real: Tensor
    fake: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    slopes: Mapping[str, Tensor]
    slope_at: Callable[[Tensor], Tensor]
    draw: Tensor
    memory: Memory = field(default_factory=dict)


class Penalty(ABC):
    """A cost added to D's loss, or a constraint on its weights after each update; it has no state of its own.

    Attributes:
        name: The registered name.
        active: Whether it adds a cost to D's loss; one that does not is never called.
        slopes_of: ``real`` and ``fake``, where the cost uses D's gradient by each sample. It comes from the pass
            that the loss makes anyway, which saves D another one.
        differentiates_input: Whether the cost needs D's gradient with respect to each sample on its own.
        averages_samples: Whether the cost of a batch is the mean of that of its parts, as ``train.accumulate`` needs.
    """

    name: str
    active: ClassVar[bool] = True
    slopes_of: ClassVar[tuple[str, ...]] = ()
    differentiates_input: ClassVar[bool] = False
    averages_samples: ClassVar[bool] = True

    def weight(self, step: int, horizon: int) -> float | None:
        """Return the weight of the cost after ``step`` finished steps, or None when it is not due.

        Schedules end at ``horizon``.
        """
        return 1.0 if self.active else None

    def draw(self, real: Tensor, generator: torch.Generator) -> Tensor:
        """Return the random numbers of one call, drawn on the CPU: one row a sample, or none at all.

        Args:
            real: Of the shape of the data, [N, ...].
            generator: The only source of randomness.
        """
        return torch.empty(0)

    @abstractmethod
    def __call__(self, seen: Pass) -> Tensor:
        """Return the cost of weight 1, 0-dim float32: a pure function of ``seen``."""

    def initial_memory(self) -> Memory:
        """Return what the penalty keeps before the first update, for the checkpoint."""
        return {}

    def remember(self, memory: Memory, real_logits: Tensor, fake_logits: Tensor) -> Memory:
        """Return what it keeps after seeing D's logits, both [N]; a pure function."""
        return memory

    def project(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return D's weights projected onto the feasible set, after an update; a pure function."""
        return weights


class Constraint(Penalty):
    """A penalty without a cost: at most it projects D's weights."""

    active = False

    def __call__(self, seen: Pass) -> Tensor:
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

    def weight(self, step: int, horizon: int) -> float | None:
        # Lazy regularisation (Karras et al. 2020, app. B): n times the weight at each n-th step.
        if step % self.every:
            return None
        if self.every == 1 and self.gamma_end is None:
            return self.gamma
        end = self.gamma if self.gamma_end is None else self.gamma_end
        return self.every * (self.gamma + (end - self.gamma) * min(step / horizon, 1.0))
