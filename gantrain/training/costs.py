"""What is added to the losses of a game: an objective's further costs, and penalties."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

from torch import Tensor

from gantrain.core.memory import Memory, memory_of, with_owner
from gantrain.penalties.base import FAKE, REAL, Penalty
from gantrain.training.play import AUGMENT, Play

Tags = dict[str, Tensor]
PENALTIES = ("loss/penalty", "loss/g_penalty")  # tags of the costs added to each loss


def objective_costs(player: str, costs: Mapping[str, Tensor]) -> Tags:
    """Return the further costs of an objective by tag, 0-dim; ``player`` is d or g."""
    return {f"loss/{player}_{name}": cost for name, cost in costs.items()}


def memory_after(
    memory: Memory, logits: Mapping[str, Tensor], costs: Mapping[str, Penalty], play: Play
) -> Memory:
    """Return what the costs on D and the augmentation keep after they observed D's logits, by kind."""
    kept: Memory = {}
    owners = {name: play.owners[name] for name in (AUGMENT, *(f"penalty.{name}" for name in costs))}
    for name, owner in owners.items():
        own = owner.observe(memory_of(name, memory), logits[REAL].detach(), logits[FAKE].detach())
        kept |= with_owner(name, own)
    return kept


def with_costs(loss: Tensor, tag: str, weighted: Mapping[str, Tensor], play: Play) -> tuple[Tensor, Tags]:
    """Return a loss with the costs on it, 0-dim, and their sum to log, and each of several."""
    if not weighted:
        return loss, {}
    total = reduce(add, weighted.values())
    of_each = {f"{tag}_{name}": cost for name, cost in weighted.items()} if len(play.costs) > 1 else {}
    return loss + total, {tag: total} | of_each
