"""One step of several runs at once: the pure step of one, vectorised over them, as one graph of tensor operations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from gantrain.core.schedules import Numbers, with_numbers
from gantrain.penalties.base import Penalty
from gantrain.training.compiled import Tensors, pairs_of_leaves
from gantrain.training.costs import Tags
from gantrain.training.draws import Inputs
from gantrain.training.functional import FunctionalAverage, FunctionalLearner, copied_buffers
from gantrain.training.learners import Players
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.replicas.graph import compile_graph, graph_of
from gantrain.training.replicas.stack import Stack, flatten, unflatten
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.step import step
from gantrain.training.steps import prepare_compiler

log = logging.getLogger("gantrain")
Step = Callable[..., tuple[list[Tags], Tensor]]


@dataclass(frozen=True)
class StackedInputs:
    """What all runs take into one step, stacked.

    Attributes:
        of_d: The inputs of each update of D: ``real``, ``y`` if there are conditions, and ``draws`` by purpose.
        of_g: Those of each update of G.
        rates: As ``Rates.numbers`` lists them, [R, n].
        names: Those of the rates.
    """

    of_d: list[dict[str, Any]]
    of_g: list[dict[str, Any]]
    rates: Tensor
    names: tuple[str, ...]


@dataclass
class FlatLearner(FunctionalLearner):
    """A network whose weights are one vector.

    Attributes:
        flat: They, [n].
    """

    flat: Tensor = field(kw_only=True)

    def norm(self) -> Tensor:
        self._slope = flatten(list(self.slopes.values()))
        return torch.linalg.vector_norm(self._slope)

    def update(self, lr: float | Tensor, keys: Numbers, penalty: Penalty | None = None) -> None:
        rule = with_numbers(self.rule, keys)
        (self.flat,), self.moments = rule.update([self.flat], [self._slope], self.moments, lr)
        self.weights = unflatten(self.flat, self.weights)
        if penalty is not None and (after := penalty.project(self.weights)) is not self.weights:
            self.weights, self.flat = after, flatten(list(after.values()))


@dataclass
class FlatAverage(FunctionalAverage):
    """The average of such a network.

    Attributes:
        flat: Its weights, [n].
    """

    flat: Tensor = field(kw_only=True)

    def update(self, G: FlatLearner, rate: float | Tensor) -> None:  # type: ignore[override]
        self.flat = torch.lerp(self.flat, G.flat, rate)
        self.weights = unflatten(self.flat, self.weights)
        self.buffers = {**self.buffers, **copied_buffers(self.module, G.buffers)}


class StackedStep:
    """The step of several runs, traced at the first step of each kind: a lazy penalty makes two.

    Args:
        states: Of the runs, whose tensors become views of stacked ones, which each call changes.
        play: Of the first run; the numbers in which the others differ are inputs.
        runtime: Says whether the graph is compiled.
    """

    def __init__(self, states: Sequence[TrainState], play: Play, runtime: Runtime):
        self._structure, self._play, self._runtime = states[0], play, runtime
        self._stack = Stack(states)
        self._state_leaves = tree_leaves(self._stack.tensors)
        self._graphs: dict[object, Step] = {}

    def __call__(self, inputs: StackedInputs) -> tuple[list[Tags], Tensor]:
        """Play one step.

        Returns:
            What each update reports, each tag with a number a run, [R]; and whether all losses and gradients of a run
            were finite, [R]: a run of which one was not stays as it was.
        """
        leaves, form = tree_flatten((inputs.of_d, inputs.of_g, inputs.rates))
        key = inputs.names, form
        with torch.no_grad():
            if key not in self._graphs:
                return self._first_of_kind(key, self._graph(inputs, leaves, form), leaves)
            return self._graphs[key](*self._state_leaves, *leaves)

    def _first_of_kind(self, key: object, graph: Step, leaves: list[Tensor]) -> tuple[list[Tags], Tensor]:
        """Play the first step of its kind, compiled where that is wished and can be."""
        self._graphs[key] = graph
        if self._runtime.is_compiled and not self._runtime.compile_failure:
            prepare_compiler()
            from torch._dynamo.exc import TorchDynamoException  # takes seconds

            try:
                faster = compile_graph(graph, self._play.device)
                found = faster(*self._state_leaves, *leaves)
            except TorchDynamoException as error:  # before anything has changed
                reason = " ".join(str(error).split())[:200]
                log.warning("the step cannot be compiled, and is played as it is: %s", reason)
                self._runtime.compile_failure = reason
            else:
                self._graphs[key] = faster
                return found
        return graph(*self._state_leaves, *leaves)

    def _graph(self, inputs: StackedInputs, leaves: list[Tensor], form: Any) -> Step:
        """Return the step of this kind of inputs as a graph of tensor operations on leaves."""
        count, whole = len(self._state_leaves), tree_flatten(self._stack.tensors)[1]

        def advance(*leaves: Tensor) -> tuple[list[Tags], Tensor]:
            tensors = tree_unflatten(leaves[:count], whole)
            of_d, of_g, rates = tree_unflatten(leaves[count:], form)
            one = partial(self._one, names=inputs.names)
            after, reports, finite = torch.func.vmap(one)(tensors, of_d, of_g, rates)
            for old, new in pairs_of_leaves(tensors, after):
                old.copy_(torch.where(finite.view(-1, *[1] * (old.dim() - 1)), new, old))
            return reports, finite

        return graph_of(advance, [*self._state_leaves, *leaves])

    def _one(
        self,
        tensors: Tensors,
        of_d: list[dict[str, Any]],
        of_g: list[dict[str, Any]],
        rates: Tensor,
        names: tuple[str, ...],
    ) -> tuple[Tensors, list[Tags], Tensor]:
        """Play one step of one run; return its tensors, its reports, and whether all was finite."""
        state, shapes = self._structure, self._stack.shapes
        G, D = (
            FlatLearner(
                state.methods[part],
                self._play.rule,
                unflatten(tensors[f"{part} weights"], shapes[part]),
                tensors[f"{part} buffers"],
                tensors[f"opt_{part}"],
                torch.ones((), dtype=torch.bool, device=self._play.device),
                flat=tensors[f"{part} weights"],
            )
            for part in ("G", "D")
        )
        flat = tensors["G_ema weights"]
        weights = unflatten(flat, shapes["G_ema"])
        average = FlatAverage(state.G_ema, weights, tensors["G_ema buffers"], flat=flat)
        players = Players(G, D, average, tensors["memory"])
        reports = step(
            players,
            [Inputs(one["real"], one.get("y"), one["draws"]) for one in of_d],
            [Inputs(one["real"], one.get("y"), one["draws"]) for one in of_g],
            Rates.of(rates.unbind(), names),
            self._play,
        )
        after = {
            "opt_G": G.moments,
            "opt_D": D.moments,
            "memory": players.memory,
            "G weights": G.flat,
            "G buffers": G.buffers,
            "D weights": D.flat,
            "D buffers": D.buffers,
            "G_ema weights": average.flat,
            "G_ema buffers": average.buffers,
        }
        return after, reports, G.is_finite & D.is_finite
