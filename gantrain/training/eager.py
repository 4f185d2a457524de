"""Eager play: networks that change in place, by autograd and an optimizer's fused kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from gantrain.core.gradients import (
    Autograd,
    Derivatives,
    Weights,
    add_gradients,
    clear_gradients,
    gradients_norm,
)
from gantrain.core.loss_scale import LossScale
from gantrain.core.schedules import Numbers, with_numbers
from gantrain.core.spectral_norm import iterate
from gantrain.core.update_rules import Moments
from gantrain.distributed.lockstep import Lockstep, in_lockstep
from gantrain.distributed.shards import Parts
from gantrain.models.base import Generator
from gantrain.models.norms import batch_statistics, running_statistics
from gantrain.optimizers.base import OptimizerOptions
from gantrain.penalties.base import Penalty
from gantrain.training.batch_statistics import BatchStatistics
from gantrain.training.batches import Batches
from gantrain.training.costs import Tags
from gantrain.training.draws import Inputs
from gantrain.training.finite import FiniteCheck
from gantrain.training.learners import Aux, Average, Batch, Learner, Loss, Players
from gantrain.training.networks import Methods, Network, PureNetwork
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.state import TrainState, all_tensors, trainable_weights
from gantrain.training.step import step


class EagerLearner(Learner):
    """A network that changes in place, with autograd and an optimizer's fused kernel.

    Args:
        name: ``d`` or ``g``, for messages.
        module: The network.
        rule: Its update rule.
        moments: Those of the rule, changed in place.
        parts: Of a batch.
        scale: Scale and streak of its loss in float16, changed in place; None in other precisions.
    """

    derivatives: type[Derivatives] = Autograd

    def __init__(
        self,
        name: str,
        module: nn.Module,
        rule: OptimizerOptions,
        moments: Moments,
        parts: Parts,
        scale: LossScale | None = None,
    ):
        self.name, self.module, self.rule, self.moments, self.scale = name, module, rule, moments, scale
        self._parts, self._statistics = parts, BatchStatistics(module, parts)
        self.methods = Methods(module)
        self._running = running_statistics(module)
        self.weights: Weights = dict(trainable_weights(module))
        self._list: list[Tensor] = list(self.weights.values())
        self.check = FiniteCheck(name)
        self._refused: Tensor | None = None
        self._spectral = dict(module.named_buffers()) if iterate(module, all_tensors(module)) else {}

    @property
    def network(self) -> Network:
        return self.still(self.module)

    def with_weights(self, weights: Weights) -> Network:
        return self.still(PureNetwork(self.methods, weights))

    @property
    def statistics(self) -> dict[str, Tensor]:
        return self._running

    @torch.no_grad()
    def sample(self, inputs: Sequence[Batch]) -> list[Tensor]:
        return self._statistics.outputs(inputs)

    @torch.no_grad()
    def refresh(self) -> None:
        if self._spectral:
            for name, vector in iterate(self.module, all_tensors(self.module)).items():
                self._spectral[name].copy_(vector)

    def differentiate(self, losses: Sequence[Loss], inputs: Sequence[Batch] = ()) -> tuple[Tensor, Aux]:
        if self._parts.count == 1:
            loss, aux = self._add_gradients(losses[0])
        else:
            loss, aux = self._add_mean_gradients(losses, inputs)
        if self.scale is not None:
            self.scale.unscale([weight.grad for weight in self._list if weight.grad is not None])
        norm = gradients_norm(self._list)
        self._refused = self.check.add(loss, norm, self.scale)
        if self.scale is not None and self._refused is not None:
            self.scale.adapt(self._refused == 0)
            norm = torch.where(self._refused == 0, norm, 0.0)  # of an update that is not made
        return norm, aux

    def _add_gradients(self, loss_of: Loss) -> tuple[Tensor, Aux]:
        """Put the gradient of a loss into the weights' ``.grad``; return the loss and its tags, without their graph."""
        clear_gradients(self._list)
        loss, aux = loss_of(self.module)
        add_gradients(loss if self.scale is None else loss * self.scale.scale, self._list)
        return loss.detach(), detached(aux)

    def _add_mean_gradients(self, losses: Sequence[Loss], inputs: Sequence[Batch]) -> tuple[Tensor, Aux]:
        """Do the same for the mean loss of all parts of a batch, which other processes may have too."""
        names: list[tuple[str, str]] = []

        def flat(loss: Tensor, aux: Aux, weights: Iterable[Tensor]) -> list[Tensor]:
            names[:] = [(kind, name) for kind, values in aux.items() for name in values]
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            return [*gradients, loss, *(aux[kind][name] for kind, name in names)]

        if self._statistics.are_whole:
            means = self._parts.mean(flat(*found) for found in self._differentiate_together(losses, inputs))
        else:
            means = self._statistics.mean_over_parts(
                lambda loss_of: flat(*self._add_gradients(loss_of), self._list), losses
            )
        for weight in self._list:
            weight.grad = means.pop(0)
        loss, aux = means.pop(0), dict[str, dict[str, Tensor]]()
        for (kind, name), value in zip(names, means, strict=True):
            aux.setdefault(kind, {})[name] = value
        return loss, aux

    def _differentiate_together(
        self, losses: Sequence[Loss], inputs: Sequence[Batch]
    ) -> list[tuple[Tensor, Aux, list[Tensor]]]:
        """Return of each own part the loss, its tags, and weights with their ``.grad``.

        All parts pass the network at once, and each loss is differentiated by its own part of the output first.
        """
        copies = [{name: w.detach().requires_grad_() for name, w in self.weights.items()} for _ in inputs]
        weights = {
            name: cast(Tensor, Lockstep.of([copy[name] for copy in copies], self._parts))
            for name in self.weights
        }
        outputs: list[Tensor] = []
        leaves: dict[int, Tensor] = {}

        def network_of(part: int) -> Network:
            def network(x: Tensor, y: Tensor | None) -> Tensor:
                if not outputs:  # only here the precision is that of the loss
                    outputs.extend(in_lockstep(PureNetwork(self.methods, weights), inputs, self._parts))
                leaves[part] = outputs[part].detach().requires_grad_()
                return leaves[part]

            return network

        results = []
        for part, loss_of in enumerate(losses):
            loss, aux = loss_of(network_of(part))
            add_gradients(loss if self.scale is None else loss * self.scale.scale, [leaves[part]])
            results.append((loss.detach(), detached(aux), list(copies[part].values())))
        slopes = [cast(Tensor, leaf.grad) for leaf in leaves.values()]
        add_gradients(outputs, [w for copy in copies for w in copy.values()], slopes)
        return results

    def update(self, lr: float | Tensor, keys: Numbers, penalty: Penalty | None = None) -> None:
        slopes = [weight.grad for weight in self._list if weight.grad is not None]
        rule = with_numbers(self.rule, keys)
        rule.update_in_place(self._list, slopes, self.moments, float(lr), self._refused)
        if penalty is not None and (after := penalty.project(self.weights)) is not self.weights:
            with torch.no_grad():
                for name, weight in self.weights.items():
                    weight.copy_(after[name])


class EagerAverage(Average):
    """The average that changes in place."""

    def __init__(self, module: Generator, G: Generator, parts: Parts):
        self.module, self.has_batch_stats = module, module.has_batch_stats
        self._statistics = BatchStatistics(module, parts)
        # Listing the weights takes as long as updating them.
        self.weights: list[Tensor] = list(module.parameters())
        self.live: list[Tensor] = list(G.parameters())
        # Statistics of batches are its own.
        own, live = batch_statistics(module), dict(G.named_buffers())
        self.buffers = [(mean, live[name]) for name, mean in module.named_buffers() if name not in own]

    @torch.no_grad()
    def track(self, inputs: Sequence[Batch]) -> None:
        if self.has_batch_stats:
            self._statistics.outputs(inputs)

    @torch.no_grad()
    def update(self, G: EagerLearner, rate: float | Tensor) -> None:
        torch._foreach_lerp_(self.weights, self.live, float(rate))
        for mean, live in self.buffers:
            mean.copy_(live)


def detached(aux: Aux) -> Aux:
    """Return what a loss computed along the way, its tags without their graph."""
    return aux | {"tags": {tag: value.detach() for tag, value in aux["tags"].items()}}


def eager_players(state: TrainState, play: Play) -> Players:
    """Return the players that change a run's state in place."""
    return Players(
        G=EagerLearner("g", state.G, play.rule, state.opt_G, play.parts, state.scales.get("g")),
        D=EagerLearner("d", state.D, play.rule, state.opt_D, play.parts, state.scales.get("d")),
        average=EagerAverage(state.G_ema, state.G, play.parts),
        memory=state.memory,
    )


class EagerStep:
    """The step of one run, played eagerly.

    Args:
        state: Changed in place by each call.
        play: The run.
    """

    def __init__(self, state: TrainState, play: Play):
        self._state, self._play = state, play
        self._players = eager_players(state, play)

    def __call__(self, of_d: Iterable[Inputs], of_g: Iterable[Inputs], rates: Rates) -> list[Tags]:
        """Play one step; return what each update reports.

        Raises:
            Diverged: On the CPU, before an update that is not finite.
        """
        reports = step(self._players, of_d, of_g, rates, self._play)
        self._state.memory = self._players.memory
        return reports

    def prepare(self, batches: Batches) -> None:
        """Nothing has to be prepared."""

    def read_checks(self) -> None:
        """Wait for the device. Raises Diverged when an update was refused."""
        for learner in (self._players.D, self._players.G):
            cast(EagerLearner, learner).check.read()
