"""Compiled play: the whole step as one function of tensors, with its penalties, optimizers and averages."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from gantrain.core.device import upload
from gantrain.training.batches import Batches
from gantrain.training.costs import PENALTIES, Tags
from gantrain.training.draws import Draws, Inputs, StepInputs
from gantrain.training.eager import EagerStep
from gantrain.training.finite import FiniteCheck
from gantrain.training.functional import FunctionalAverage, FunctionalLearner
from gantrain.training.learners import Players
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState, all_tensors, trainable_weights
from gantrain.training.step import step

log = logging.getLogger("gantrain")

STEPS_AHEAD = 64  # among which each kind of step is looked for
Tensors = dict[str, Any]  # a tree of tensors
PlainInputs = tuple[Tensor, Tensor | None, Draws]  # of one update


class CompiledStep:
    """The step of one run, compiled at its first call, and again where its inputs change: with a lazy penalty, twice.

    Args:
        state: Changed in place by each call.
        play: The run.
        runtime: Told when the step cannot be compiled, which is then played eagerly.
    """

    def __init__(self, state: TrainState, play: Play, runtime: Runtime):
        self._runtime = runtime
        self._state, self._play, self._tensors = state, play, live_tensors(state)
        self._eager = EagerStep(state, play)
        self._checks = {kind: FiniteCheck(kind) for kind in ("d", "g")}
        self._compiled: dict[object, Callable[..., list[Tags]]] = {}  # by the kind of a step's inputs
        if play.device.type == "cuda":
            # A CUDA graph changes tensors in place only where it is told that they stay where they are.
            for tensor, _ in pairs_of_leaves(self._tensors, self._tensors):
                torch._dynamo.mark_static_address(tensor, guard=False)

    def __call__(self, of_d: Iterable[Inputs], of_g: Iterable[Inputs], rates: Rates) -> list[Tags]:
        """Play one step; return what each update reports.

        Raises:
            Diverged: On the CPU, when a loss or a gradient is not finite; then nothing has changed.
        """
        of_d, of_g = list(of_d), list(of_g)
        reports = self._compiled_reports(of_d, of_g, rates)
        return self._eager(of_d, of_g, rates) if reports is None else reports

    def prepare(self, batches: Batches) -> None:
        """Compile before the first step, whose time is then that of a step: a lazy penalty makes two kinds of steps."""
        state, play = self._state, self._play
        what = "compiling the step: about %.0f s on two cores, once for these shapes; device.compile=false spares it"
        log.info(what, play.compile_seconds)
        kinds: dict[tuple[str, ...], Rates] = {}
        for number in range(state.step, state.step + STEPS_AHEAD):
            rates = Rates.at(number, play)
            kinds.setdefault(rates.names, rates)
        d_updates, live = state.d_updates, self._tensors
        for rates in kinds.values():
            inputs = StepInputs(state, batches, play, rates)
            self._tensors = copy.deepcopy(live)  # of which nothing is kept
            self._compiled_reports(list(inputs.of_d()), list(inputs.of_g()), rates)
        state.d_updates, self._tensors = d_updates, live

    def _compiled_reports(self, of_d: list[Inputs], of_g: list[Inputs], rates: Rates) -> list[Tags] | None:
        """Play a compiled step and return its reports; None where it could not be compiled, now or earlier."""
        if self._runtime.compile_failure:
            return None
        try:
            return self._play_compiled(of_d, of_g, rates)
        except TorchDynamoException as error:  # before anything has changed
            lines = [line.strip() for line in str(error).splitlines()]
            reason = next(filter(None, lines), type(error).__name__)
            log.warning("the step cannot be compiled, and is played eagerly: %s", reason)
            self._runtime.compile_failure = reason
            return None

    def _play_compiled(self, of_d: list[Inputs], of_g: list[Inputs], rates: Rates) -> list[Tags]:
        names, numbers = rates.names, torch.tensor(rates.numbers)
        plain_d, plain_g = ([(one.real, one.y, one.draws) for one in of_both] for of_both in (of_d, of_g))
        # Shapes of a run never change, but a penalty may be lazy, and wrong pairs may be missing in a batch.
        form = names, *((name, t.shape) for one in (*of_d, *of_g) for name, t in one.draws.items())
        if form not in self._compiled:
            self._compiled[form] = compile_lazily(self._advance, self._play.device)
        with torch.no_grad():
            reports = self._compiled[form](
                self._tensors, plain_d, plain_g, upload(numbers, self._play.device), names
            )
        for tags in reports:
            kind = "d" if "loss/d" in tags else "g"
            loss = tags[f"loss/{kind}"]
            loss = loss + sum(tags[tag] for tag in PENALTIES if tag in tags)
            self._checks[kind].add(loss, tags[f"gradient/{kind}"])
        return reports

    def read_checks(self) -> None:
        """Wait for the device. Raises Diverged when an update was refused."""
        for check in self._checks.values():
            check.read()
        self._eager.read_checks()

    def _advance(
        self,
        tensors: Tensors,
        of_d: list[PlainInputs],
        of_g: list[PlainInputs],
        rates: Tensor,
        names: tuple[str, ...],
    ) -> list[Tags]:
        """Play one step, and write its tensors over those before it, unless one is not finite."""
        after, reports, finite = pure_step(
            self._state,
            self._play,
            tensors,
            [Inputs(*plain) for plain in of_d],
            [Inputs(*plain) for plain in of_g],
            Rates.of(rates.unbind(), names),
        )
        for old, new in pairs_of_leaves(tensors, after):
            if new is not old:
                old.copy_(torch.where(finite, new, old))
        return reports


def compile_lazily(advance: Any, device: torch.device) -> Callable[..., list[Tags]]:
    """Return a method that is compiled at its first call, for inputs of that kind alone."""
    # Comparing hundreds of tensors and modules with those of the first call would take a quarter of a small step. What
    # is compiled is kept by the code object, so each kind of inputs has one of its own.
    method, code = advance.__func__, advance.__func__.__code__.replace()
    own = FunctionType(code, method.__globals__, method.__name__, method.__defaults__, method.__closure__)
    options: dict[str, Any] = {"guard_filter_fn": lambda guards: [False for _ in guards]}
    if device.type == "cuda":
        options["triton.cudagraphs"] = True  # replays the kernels of a step as one graph
    return torch.compile(MethodType(own, advance.__self__), fullgraph=True, dynamic=False, options=options)


def live_tensors(state: TrainState) -> Tensors:
    """Return every tensor that a step changes, as a tree that shares its memory with the state."""
    tree: Tensors = {"opt_G": state.opt_G, "opt_D": state.opt_D, "memory": state.memory}
    for part in ("G", "D", "G_ema"):
        network: nn.Module = getattr(state, part)
        names = set(trainable_weights(state.G if part == "G_ema" else network))
        tensors = all_tensors(network)
        tree[f"{part} weights"] = {name: t.detach() for name, t in tensors.items() if name in names}
        tree[f"{part} buffers"] = {name: t.detach() for name, t in tensors.items() if name not in names}
    return tree


def pure_step(
    state: TrainState, play: Play, tensors: Tensors, of_d: list[Inputs], of_g: list[Inputs], rates: Rates
) -> tuple[Tensors, list[Tags], Tensor]:
    """Play one step on tensors alone.

    Args:
        state: The structure of the networks; none of its tensors is read.
        play: The run.
        tensors: As ``live_tensors``.
        of_d: The inputs of D's updates.
        of_g: The inputs of G's updates.
        rates: The step's rates, 0-dim tensors.

    Returns:
        The tensors after the step; what each update reports; and whether every loss and gradient was finite.
    """
    G, D = (
        FunctionalLearner(
            state.methods[part],
            play.rule,
            tensors[f"{part} weights"],
            tensors[f"{part} buffers"],
            tensors[f"opt_{part}"],
            torch.ones((), dtype=torch.bool, device=play.device),
        )
        for part in ("G", "D")
    )
    average = FunctionalAverage(state.G_ema, tensors["G_ema weights"], tensors["G_ema buffers"])
    players = Players(G, D, average, tensors["memory"])
    reports = step(players, of_d, of_g, rates, play)
    after = {
        "opt_G": G.moments,
        "opt_D": D.moments,
        "memory": players.memory,
        "G weights": G.weights,
        "G buffers": G.buffers,
        "D weights": D.weights,
        "D buffers": D.buffers,
        "G_ema weights": average.weights,
        "G_ema buffers": average.buffers,
    }
    return after, reports, G.is_finite & D.is_finite


def pairs_of_leaves(before: Any, after: Any) -> list[tuple[Tensor, Tensor]]:
    """Return each tensor of one tree with the one at the same place of another."""
    if isinstance(before, Tensor):
        return [(before, after)]
    places = before if isinstance(before, dict) else range(len(before))
    return [pair for place in places for pair in pairs_of_leaves(before[place], after[place])]
