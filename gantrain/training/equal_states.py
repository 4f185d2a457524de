"""Whether all processes of a run hold the same state, as they should after every step."""

import torch

from gantrain.distributed.group import Group
from gantrain.errors import GantrainError
from gantrain.training.state import TrainState


def check_equal_states(state: TrainState, group: Group) -> None:
    """Compare the bytes of all tensors by their sums. Raises GantrainError, in every process, where one differs."""
    if group.size == 1:
        return
    tensors = state.tensors()
    sums = torch.stack([t.detach().reshape(-1).view(torch.uint8).sum().cpu() for t in tensors.values()])
    of_ranks = group.exchange(sums.tolist())
    for rank, found in enumerate(of_ranks):
        different = [name for name, a, b in zip(tensors, of_ranks[0], found, strict=True) if a != b]
        if different:
            what = f"holds other numbers than rank 0 after step {state.step}, in {', '.join(different[:3])}"
            remedy = "play the run on machines of one kind, and go on from its last checkpoint"
            raise GantrainError(f"rank {rank}", what, remedy)
