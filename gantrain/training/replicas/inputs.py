"""The batches, random numbers and rates of several runs, stacked: those that each of them has alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from gantrain.training.batches import Batches
from gantrain.training.draws import Inputs, Rates, StepInputs
from gantrain.training.play import Play
from gantrain.training.replicas.stack import stack_trees
from gantrain.training.replicas.stacked_step import StackedInputs
from gantrain.training.state import TrainState


class InputsOfAll:
    """The inputs of any step of several runs, drawn on the CPU.

    Args:
        states: Of the runs, at the same step.
        batches: Of each.
        plays: Of each.
    """

    def __init__(self, states: Sequence[TrainState], batches: Sequence[Batches], plays: Sequence[Play]):
        self._runs = list(zip(states, batches, plays, strict=True))
        # Updates of D number the batches, also where an earlier process made some.
        self._step, self._d_updates = states[0].step, states[0].d_updates

    def __call__(self, step: int) -> StackedInputs:
        """Return the inputs of the step after ``step`` finished ones."""
        found = [self._of_run(step, *run) for run in self._runs]
        of_d, of_g, rates = zip(*found, strict=True)
        numbers = torch.tensor([[r.g_lr, r.d_lr, r.ema, r.penalty or 0.0] for r in rates])
        return StackedInputs(stack_trees(of_d), stack_trees(of_g), numbers, rates[0].penalty is not None)

    def _of_run(
        self, step: int, state: TrainState, batches: Batches, play: Play
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Rates]:
        rates = Rates.at(step, play)
        d_updates = self._d_updates + (step - self._step) * play.d_steps
        inputs = StepInputs(replace(state, step=step, d_updates=d_updates), batches, play, rates)
        return [_plain(one) for one in inputs.of_d()], [_plain(one) for one in inputs.of_g()], rates


def _plain(inputs: Inputs) -> dict[str, Any]:
    condition = {} if inputs.y is None else {"y": inputs.y}
    return {"real": inputs.real, "draws": inputs.draws} | condition
