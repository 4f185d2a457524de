"""Compiled play: networks and averages as pure functions of their tensors; each change rebinds an attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gantrain.core.gradients import Derivatives, Functional, Weights, total_norm
from gantrain.core.schedules import Numbers, with_numbers
from gantrain.core.spectral_norm import iterate
from gantrain.core.update_rules import Moments
from gantrain.distributed.shards import tree_sum
from gantrain.models.base import Generator
from gantrain.models.norms import batch_statistics, running_statistics
from gantrain.optimizers.base import OptimizerOptions
from gantrain.penalties.base import Penalty
from gantrain.training.learners import Aux, Average, Batch, Learner, Loss
from gantrain.training.networks import Methods, Network, PureNetwork


@dataclass
class FunctionalLearner(Learner):
    """A network as a pure function of its tensors: each change rebinds an attribute, and no tensor is written to.

    Attributes:
        methods: Of the network, which gives the structure; its own tensors are never read.
        rule: Its update rule.
        weights: The trainable weights by name.
        buffers: The other tensors by name.
        moments: Those of the rule.
        is_finite: Whether all gradients so far were finite, 0-dim.
    """

    methods: Methods
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
        return self.still(self._call(weights, self.buffers))

    @property
    def statistics(self) -> dict[str, Tensor]:
        return running_statistics(self.methods.network)

    def _call(self, weights: Weights, buffers: dict[str, Tensor]) -> Network:
        """Return the network with these tensors; it moves batch statistics among the buffers."""
        return PureNetwork(self.methods, {**buffers, **weights})

    def sample(self, inputs: Sequence[Batch]) -> list[Tensor]:
        outputs, after = [], []
        for batch in inputs:
            buffers = {name: buffer.clone() for name, buffer in self.buffers.items()}
            outputs.append(self._call(self.weights, buffers)(*batch))
            after.append(buffers)
        self.buffers = mean_buffers(self.methods.network, after)
        return outputs

    def refresh(self) -> None:
        self.buffers = self.buffers | iterate(self.methods.network, {**self.buffers, **self.weights})

    def differentiate(self, losses: Sequence[Loss], inputs: Sequence[Batch] = ()) -> tuple[Tensor, Aux]:
        found: list[tuple[Weights, Tensor, Aux, Weights]] = []
        for loss_of in losses:

            def total(
                weights: Weights, loss_of: Loss = loss_of
            ) -> tuple[Tensor, tuple[Tensor, Aux, Weights]]:
                # Copies made inside may be written to, and leave as a result.
                buffers = {name: buffer.clone() for name, buffer in self.buffers.items()}
                loss, aux = loss_of(self._call(weights, buffers))
                return loss, (loss, aux, buffers)

            slopes, (loss, aux, buffers) = torch.func.grad(total, has_aux=True)(self.weights)
            found.append((slopes, loss, aux, buffers))
        of_weights, of_losses, auxes, buffers_after = zip(*found, strict=True)
        self.buffers = mean_buffers(self.methods.network, buffers_after)
        self.slopes = mean_of(of_weights)
        norm = self.norm()
        self.is_finite = self.is_finite & mean(of_losses).isfinite() & norm.isfinite()
        return norm, {kind: mean_of([aux[kind] for aux in auxes]) for kind in auxes[0]}

    def norm(self) -> Tensor:
        """Return the L2 norm of the gradient that ``update`` will apply, 0-dim."""
        return total_norm(list(self.slopes.values()))

    def update(self, lr: float | Tensor, keys: Numbers, penalty: Penalty | None = None) -> None:
        names = list(self.weights)
        after, self.moments = with_numbers(self.rule, keys).update(
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

    def track(self, inputs: Sequence[Batch]) -> None:
        if self.module.has_batch_stats:
            after = [{name: buffer.clone() for name, buffer in self.buffers.items()} for _ in inputs]
            for batch, buffers in zip(inputs, after, strict=True):
                functional_call(self.module, {**self.weights, **buffers}, batch)
            self.buffers = mean_buffers(self.module, after)

    def update(self, G: FunctionalLearner, rate: float | Tensor) -> None:
        live = {**G.buffers, **G.weights}
        self.weights = {name: torch.lerp(w, live[name], rate) for name, w in self.weights.items()}
        self.buffers = {**self.buffers, **copied_buffers(self.module, live)}


def copied_buffers(network: nn.Module, live: Weights) -> Weights:
    """Return what an average of G takes from G: all buffers but the statistics of batch norm, which are its own."""
    own = batch_statistics(network)
    return {name: live[name] for name, _ in network.named_buffers() if name not in own}


def mean(of_parts: Sequence[Tensor]) -> Tensor:
    """Return the mean of tensors that the parts of a batch computed, in the order of eager play."""
    return of_parts[0] if len(of_parts) == 1 else tree_sum(of_parts) / len(of_parts)


def mean_of(of_parts: Sequence[Weights]) -> Weights:
    """Return the mean of each named tensor."""
    return {name: mean([tensors[name] for tensors in of_parts]) for name in of_parts[0]}


def mean_buffers(network: nn.Module, of_parts: Sequence[Weights]) -> Weights:
    """Return the buffers after the last part, and of running statistics the means over all parts."""
    statistics = [{name: tensors[name] for name in running_statistics(network)} for tensors in of_parts]
    return {**of_parts[-1], **mean_of(statistics)}
