"""The contract of a penalty: a cost added to a player's loss, or a constraint on D's weights."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from gantrain.core.gradients import Derivatives
from gantrain.core.judgement import Judgement
from gantrain.core.memory import Memory, Remembers
from gantrain.core.spec import Spec
from gantrain.models.base import Model
from gantrain.registry import option

REAL, FAKE = "real", "fake"


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
        value_at: Returns D's logits [N] at other points [N, ...], under the same conditions, in float32.
        draw: What the penalty's ``draw`` returned, on the device.
        memory: What the penalty keeps, after it observed these logits.
        y: The conditions of both, [N, ...], or None.
        judgements: All that D says of ``real`` and ``fake``, by kind, if the penalty ``needs`` it.
        is_mixed: Whether the logits were computed in a lower precision than float32.
    """

    real: Tensor
    fake: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    slopes: Mapping[str, Tensor]
    slope_at: Callable[[Tensor], Tensor]
    value_at: Callable[[Tensor], Tensor]
    draw: Tensor
    memory: Memory = field(default_factory=dict)
    y: Tensor | None = None
    judgements: Mapping[str, Judgement] = field(default_factory=dict)
    is_mixed: bool = False

    def precise_logits(self, kind: str) -> Tensor:
        """Return D's logits on data or samples, [N], as precise as those of ``value_at``."""
        x, logits = (self.real, self.real_logits) if kind == REAL else (self.fake, self.fake_logits)
        return self.value_at(x) if self.is_mixed else logits


@dataclass(frozen=True)
class GeneratorPass:
    """G's pass over one batch in an update of G, as a cost on G sees it.

    Attributes:
        latents: Of the samples, shape [N, ...].
        y: Their conditions [N, ...], or None.
        real: The data of the batch, shape [N, ...].
        fake: The samples, with their graph, shape [N, ...].
        judgement: What D says of the samples as it sees them.
        method: Returns a method of G by name, with the weights that are differentiated.
        derivatives: Those of eager or of compiled play.
        draw: What the cost's ``draw`` returned, on the device.
        memory: What the cost keeps.
    """

    latents: Tensor
    y: Tensor | None
    real: Tensor
    fake: Tensor
    judgement: Judgement
    method: Callable[[str], Callable[..., Tensor]]
    derivatives: type[Derivatives]
    draw: Tensor
    memory: Memory


class Penalty(Remembers, ABC):
    """A cost added to D's loss, or a constraint on its weights after each update; it has no state of its own.

    Attributes:
        name: The registered name.
        player: Whose loss the cost is added to: ``d``, or ``g`` for a ``GeneratorCost``.
        active: Whether it adds a cost; one that does not is never called.
        needs: What D must say beside its logit: ``features`` or ``classes``.
        slopes_of: ``real`` and ``fake``, where the cost uses D's gradient by each sample. It comes from the pass
            that the loss makes anyway, which saves D another one.
        needs_own_slopes: Whether the cost needs the gradient of each sample's own logit, which a D that couples
            samples has not: there a slope is that of the sum of all logits of its batch.
        averages_samples: Whether the cost of a batch is the mean of that of its parts, as ``train.accumulate`` needs.
    """

    name: str
    player: ClassVar[str] = "d"
    active: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset()
    slopes_of: ClassVar[tuple[str, ...]] = ()
    needs_own_slopes: ClassVar[bool] = False
    averages_samples: ClassVar[bool] = True

    def resolve(self, spec: Spec, batch_size: int) -> dict[str, float]:
        """Set the keys that are null to numbers that suit the data and the batch; return them, by key."""
        return {}

    def weight(self, step: int) -> float | None:
        """Return the weight of the cost after ``step`` finished steps, or None when it is not due."""
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

    def misfits(self, model: Model, spec: Spec) -> Iterator[tuple[str, str, str]]:
        """Yield each key of a model that the cost cannot be used with for this data, what is wrong, and what to do."""
        yield from ()

    def members(self) -> dict[str, "Penalty"]:
        """Return the penalties that this one is the sum of, by name: itself, unless it is a sum."""
        return {self.name: self}

    def project(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return D's weights projected onto the feasible set, after an update; a pure function."""
        return weights


class GeneratorCost(Penalty):
    """A cost added to G's loss."""

    player = "g"

    @abstractmethod
    def cost(self, seen: GeneratorPass) -> tuple[Tensor, Memory]:
        """Return the cost of weight 1, 0-dim float32, and what it keeps: a pure function of ``seen``."""

    def __call__(self, seen: Pass) -> Tensor:
        raise TypeError(f"{self.name} is a cost on G")


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
        None, "weight at optimizer.horizon, reached by train.ramp; null keeps gamma", minimum=0
    )
    every: int = option(
        1, "apply it at every n-th step only, with n times the weight (lazy regularisation)", minimum=1
    )

    def weight(self, step: int) -> float | None:
        # Lazy regularisation (Karras et al. 2020, app. B): n times the weight at each n-th step.
        return None if step % self.every else self.every * self.gamma
