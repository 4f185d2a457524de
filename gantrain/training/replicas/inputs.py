"""The batches, random numbers and rates of several runs, stacked: those that each of them has alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from gantrain.training.batches import Batches
from gantrain.training.draw_blocks import DrawBlocks
from gantrain.training.draws import Inputs, StepInputs
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.replicas.stack import stack_trees
from gantrain.training.replicas.stacked_step import StackedInputs
from gantrain.training.state import TrainState
from gantrain.training.transfer import Sender

CPU = torch.device("cpu")


class InputsOfAll:
    """The inputs of any step of several runs, gathered and drawn on the CPU, and sent to a device in blocks of steps.

    Args:
        states: Of the runs, at the same step.
        batches: Of each, on the CPU.
        plays: Of each.
        device: Where the runs are.
    """

    def __init__(
        self,
        states: Sequence[TrainState],
        batches: Sequence[Batches],
        plays: Sequence[Play],
        device: torch.device = CPU,
    ):
        own = [replace(play, device=CPU) for play in plays]
        self._runs, self._play = list(zip(states, batches, own, strict=True)), plays[0]
        self._ahead = None if device.type == "cpu" else DrawBlocks(self._tree, Sender(device))
        # Updates of D number the batches, also where an earlier process made some.
        self._step, self._d_updates = states[0].step, states[0].d_updates

    def __call__(self, step: int) -> StackedInputs:
        """Return the inputs of the step after ``step`` finished ones."""
        tree = self._ahead(step) if self._ahead else self._tree(step)
        return StackedInputs(**tree, names=Rates.at(step, self._play).names)

    def _tree(self, step: int) -> dict[str, Any]:
        found = [self._of_run(step, *run) for run in self._runs]
        of_d, of_g, rates = zip(*found, strict=True)
        numbers = torch.tensor([r.numbers for r in rates])
        return {"of_d": stack_trees(of_d), "of_g": stack_trees(of_g), "rates": numbers}

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
