"""Compiled play: networks and averages as pure functions of their tensors; each change rebinds an attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gantrain.core.gradients import Derivatives, Functional, Weights, total_norm
from gantrain.core.spectral_norm import iterate
from gantrain.core.update_rules import Moments
from gantrain.models.base import Generator
from gantrain.optimizers.base import OptimizerOptions
from gantrain.penalties.base import Penalty
from gantrain.training.d_loss import Network
from gantrain.training.learners import Aux, Average, Learner, Loss


@dataclass
class FunctionalLearner(Learner):
    """A network as a pure function of its tensors: each change rebinds an attribute, and no tensor is written to.

    Attributes:
        module: The structure; its own tensors are never read.
        rule: Its update rule.
        weights: The trainable weights by name.
        buffers: The other tensors by name.
        moments: Those of the rule.
        is_finite: Whether all gradients so far were finite, 0-dim.
    """

    module: nn.Module
    rule: OptimizerOptions
    weights: Weights
    buffers: dict[str, Tensor]
    moments: Moments
    is_finite: Tensor
    slopes: Weights = field(default_factory=dict)
    derivatives: type[Derivatives] = Functional

    @property
    def network(self) -> Network:
        return self.with_weights(self.weights)

    def with_weights(self, weights: Weights) -> Network:
        return lambda x, y: functional_call(self.module, {**self.buffers, **weights}, (x, y))

    def _call(self, weights: Weights, buffers: dict[str, Tensor]) -> Network:
        """Return the network with these tensors; it moves batch statistics among the buffers."""
        return lambda x, y: functional_call(self.module, {**buffers, **weights}, (x, y))

    def sample(self, x: Tensor, y: Tensor | None) -> Tensor:
        self.buffers = {name: buffer.clone() for name, buffer in self.buffers.items()}
        return self._call(self.weights, self.buffers)(x, y)

    def refresh(self) -> None:
        self.buffers = self.buffers | iterate(self.module, {**self.buffers, **self.weights})

    def differentiate(self, losses: Sequence[Loss]) -> tuple[Tensor, list[Aux]]:
        found, gradients = [], []
        for loss_of in losses:

            def total(
                weights: Weights, loss_of: Loss = loss_of
            ) -> tuple[Tensor, tuple[Tensor, Aux, Weights]]:
                # Copies made inside may be written to, and leave as a result.
                buffers = {name: buffer.clone() for name, buffer in self.buffers.items()}
                loss, aux = loss_of(self._call(weights, buffers))
                return loss, (loss, aux, buffers)

            slopes, (loss, aux, self.buffers) = torch.func.grad(total, has_aux=True)(self.weights)
            self.is_finite = self.is_finite & loss.isfinite()
            gradients.append(slopes)
            found.append(aux)
        self.slopes = {
            name: sum(slopes[name] for slopes in gradients) / len(losses)
            if len(losses) > 1
            else gradients[0][name]
            for name in self.weights
        }
        norm = total_norm(list(self.slopes.values()))
        self.is_finite = self.is_finite & norm.isfinite()
        return norm, found

    def update(self, lr: float | Tensor, penalty: Penalty | None = None) -> None:
        names = list(self.weights)
        after, self.moments = self.rule.update(
            list(self.weights.values()), list(self.slopes.values()), self.moments, lr
        )
        self.weights = dict(zip(names, after, strict=True))
        if penalty is not None:
            self.weights = penalty.project(self.weights)


@dataclass
class FunctionalAverage(Average):
    """The average as a pure function of its tensors."""

    module: Generator
    weights: Weights
    buffers: dict[str, Tensor]

    def track(self, z: Tensor, y: Tensor | None) -> None:
        if self.module.has_batch_stats:
            self.buffers = {name: buffer.clone() for name, buffer in self.buffers.items()}
            functional_call(self.module, {**self.weights, **self.buffers}, (z, y))

    def update(self, G: FunctionalLearner, rate: float | Tensor) -> None:
        live = {**G.buffers, **G.weights}
        self.weights = {name: torch.lerp(w, live[name], rate) for name, w in self.weights.items()}
        if not self.module.has_batch_stats:
            self.buffers = {name: live[name] for name in self.buffers}
