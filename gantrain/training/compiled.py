"""The whole step as one compiled function of tensors, with its penalties, optimizers and averages."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gantrain.training.draws import Inputs, Rates
from gantrain.training.functional import FunctionalAverage, FunctionalLearner
from gantrain.training.learners import Players
from gantrain.training.play import Play
from gantrain.training.state import TrainState, all_tensors, trainable_weights
from gantrain.training.step import Tags, step

Tensors = dict[str, Any]  # a tree of tensors
PlainInputs = tuple[Tensor, Tensor | None, dict[str, Tensor]]


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
    finite = torch.ones((), dtype=torch.bool, device=play.device)
    G, D = (
        FunctionalLearner(
            network,
            play.rule,
            tensors[f"{part} weights"],
            tensors[f"{part} buffers"],
            tensors[f"opt_{part}"],
            finite,
        )
        for part, network in (("G", state.G), ("D", state.D))
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
