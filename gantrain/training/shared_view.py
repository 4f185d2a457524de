"""The evaluation of a state whose samples the processes of a run generate together."""

from dataclasses import replace

import torch
from torch import Tensor

from gantrain.config.options import Config
from gantrain.core.device import upload
from gantrain.datasets.base import Data
from gantrain.distributed.group import Group
from gantrain.metrics.base import CHUNK, Evaluation
from gantrain.training.evaluate import evaluation_mode, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState


def shared_view(config: Config, data: Data, state: TrainState, runtime: Runtime) -> Evaluation:
    """Return the evaluation of a state, which has its samples already if several processes play the run."""
    evaluation = view(config, data, state, runtime)
    if runtime.group.size == 1:
        return evaluation
    with evaluation_mode(evaluation):
        return replace(evaluation, substitute=samples(evaluation, runtime.group))


def samples(evaluation: Evaluation, group: Group) -> tuple[Tensor, Tensor | None]:
    """Return ``evaluation.fake``, of which each process generates every n-th chunk and receives the others.

    The chunks are those of one process, so that every sample has the same bits.
    """
    y = evaluation.real[1]
    z, c = evaluation.latents(evaluation.n, "evaluate").split(CHUNK), evaluation.condition(y)
    conditions = [None] * len(z) if c is None else c.split(CHUNK)
    rounds = -(-len(z) // group.size)
    own = torch.zeros(rounds, CHUNK, *evaluation.data.spec.shape, device=evaluation.device)
    for place, i in enumerate(range(group.rank, len(z), group.size)):
        own[place, : len(z[i])] = evaluation.G(upload(z[i], evaluation.device), conditions[i]).float()
    of_ranks = group.gather(own)
    return torch.cat([of_ranks[i % group.size][i // group.size, : len(z[i])] for i in range(len(z))]), y
