"""The tensors of several runs of one shape, stacked; each run's own tensors are views of its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gantrain.core.gradients import Weights
from gantrain.training.compiled import Tensors, live_tensors
from gantrain.training.state import TrainState, all_tensors, trainable_weights


def stack_trees(trees: Sequence[Any]) -> Any:
    """Return a tree of the same form, each tensor of it stacked from those of all trees along a new first dimension."""
    first = trees[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return torch.stack(list(trees))
    if isinstance(first, dict):
        return {key: stack_trees([tree[key] for tree in trees]) for key in first}
    return type(first)(stack_trees(parts) for parts in zip(*trees, strict=True))


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors as one vector [n]."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def unflatten(flat: Tensor, like: Weights) -> Weights:
    """Return the tensors of ``flatten`` by name, as views with the shapes of ``like``; dimensions before [n] stay."""
    pieces = flat.split([one.numel() for one in like.values()], -1)
    lead = flat.shape[:-1]
    return {
        name: piece.view(*lead, *one.shape) for (name, one), piece in zip(like.items(), pieces, strict=True)
    }


class Stack:
    """Every tensor that the steps of several runs change, in one tree.

    The weights of a network, and each kind of moments, are one vector a run, [R, n]: an update of hundreds of small
    tensors would cost more calls than arithmetic.

    Args:
        states: Of the runs, equal in every shape; their tensors become views of the stacked ones.

    Attributes:
        tensors: As ``live_tensors``, but with a first dimension of R and with flat weights and moments.
    """

    def __init__(self, states: Sequence[TrainState]):
        self.shapes = {part: _weights(states[0], part) for part in ("G", "D", "G_ema")}
        self.tensors: Tensors = stack_trees([self._flat(state) for state in states])
        for row, state in enumerate(states):
            self._point(state, row)

    @staticmethod
    def _flat(state: TrainState) -> Tensors:
        tree = live_tensors(state)
        for part in ("G", "D", "G_ema"):
            tree[f"{part} weights"] = flatten(list(tree[f"{part} weights"].values()))
        for part in ("opt_G", "opt_D"):
            tree[part] = {
                name: moments if name == "step" else [flatten(moments)]
                for name, moments in tree[part].items()
            }
        return tree

    def _point(self, state: TrainState, row: int) -> None:
        """Make the tensors of a run views of a row."""
        for part in ("G", "D", "G_ema"):
            own = all_tensors(getattr(state, part))
            views = unflatten(self.tensors[f"{part} weights"][row], self.shapes[part])
            views |= {name: stacked[row] for name, stacked in self.tensors[f"{part} buffers"].items()}
            for name, view in views.items():
                own[name].data = view
        for part in ("G", "D"):
            moments = getattr(state, f"opt_{part}")
            for name, (stacked,) in self.tensors[f"opt_{part}"].items():
                if name == "step":
                    moments[name] = [stacked[row]]
                else:
                    moments[name] = list(unflatten(stacked[row], self.shapes[part]).values())
        state.memory = {name: stacked[row] for name, stacked in self.tensors["memory"].items()}


def _weights(state: TrainState, part: str) -> Weights:
    """Return the trainable weights of a network, those of the average being G's."""
    names = trainable_weights(state.G if part == "G_ema" else getattr(state, part))
    tensors = all_tensors(getattr(state, part))
    return {name: tensors[name].detach() for name in tensors if name in names}
