"""What a penalty or an augmentation keeps between updates: tensors that a checkpoint saves by name."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

Memory = dict[str, Tensor]


class Remembers:
    """Keeps tensors between updates.

    All methods are pure functions of tensors: they are compiled, and played for several runs at once.
    """

    def initial_memory(self) -> Memory:
        """Return what is kept before the first update; NaN is a number that is not known yet."""
        return {}

    def observe(self, memory: Memory, real_logits: Tensor, fake_logits: Tensor) -> Memory:
        """Return what is kept after D's logits in one of its updates, each [N].

        It is averaged over the parts of a batch, so each tensor should be linear in means over samples.
        """
        return memory

    def advance(self, memory: Memory, images: int) -> Memory:
        """Return what is kept after an update, once the parts of its batch of ``images`` samples are averaged."""
        return memory

    def scalars(self, memory: Memory) -> dict[str, Tensor]:
        """Return 0-dim numbers to log, by tag."""
        return {}


def memory_of(owner: str, memory: Mapping[str, Tensor]) -> Memory:
    """Return what one owner keeps, from what all keep, which is named ``owner/name``."""
    return {key.removeprefix(f"{owner}/"): t for key, t in memory.items() if key.startswith(f"{owner}/")}


def with_owner(owner: str, memory: Mapping[str, Tensor]) -> Memory:
    """Return what one owner keeps under the names that tell it from others'."""
    return {f"{owner}/{key}": t for key, t in memory.items()}


def initial_memory(owners: Mapping[str, Remembers]) -> Memory:
    """Return what all owners keep before the first update."""
    found: Memory = {}
    for name, owner in owners.items():
        found |= with_owner(name, owner.initial_memory())
    return found
