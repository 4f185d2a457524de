"""The draws of several steps at once, copied to a CUDA device before the first of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gantrain.training.transfer import Ahead, Sender, Sent, pack, unpack

Draws = dict[str, Any]  # tensors, and dicts of them, by purpose
MAX_STEPS, MAX_BYTES = 16, 2**26  # of a block


@dataclass(frozen=True)
class Block:
    """Draws of successive steps on the CPU, and one buffer of them on its way to the device."""

    draws: list[Draws]
    sent: Sent


class DrawBlocks:
    """Draws by step, in blocks of up to 16 steps; the next block is drawn and copied while this one is used.

    Args:
        draws_of: The draws of a step on the CPU, a function of its number.
        sender: To the device.
    """

    def __init__(self, draws_of: Callable[[int], Draws], sender: Sender):
        self._draws_of, self._sender = draws_of, sender
        self._ahead = Ahead(self._send, depth=1)
        self._size = 0  # steps in a block, known from the first draws
        self._number, self._steps = -1, list[Draws]()

    def __call__(self, step: int) -> Draws:
        """Return the draws of a step on the device."""
        if not self._size:
            size = max(sum(x.nbytes for x in _leaves(self._draws_of(step))), 1)
            self._size = min(max(MAX_BYTES // size, 1), MAX_STEPS)
        number, place = divmod(step, self._size)
        if number != self._number:
            self._number, self._steps = number, self._receive(self._ahead(number))
        return self._steps[place]

    def _send(self, number: int) -> Block:
        draws = [self._draws_of(step) for step in range(number * self._size, (number + 1) * self._size)]
        is_pinned = self._sender.device.type == "cuda"
        return Block(draws, self._sender.send([pack(list(_leaves(draws)), is_pinned)]))

    def _receive(self, block: Block) -> list[Draws]:
        (buffer,) = self._sender.receive(block.sent)
        copies = iter(unpack(buffer, list(_leaves(block.draws))))
        return [_with_leaves(draws, copies) for draws in block.draws]


def _leaves(tree: Any) -> Iterator[Tensor]:
    """Yield the tensors of nested dicts and sequences, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(part)


def _with_leaves(tree: Any, leaves: Iterator[Tensor]) -> Any:
    """Return the same nest with the next of ``leaves`` in place of each tensor."""
    if isinstance(tree, Tensor):
        return next(leaves)
    if isinstance(tree, dict):
        return {key: _with_leaves(part, leaves) for key, part in tree.items()}
    return type(tree)(_with_leaves(part, leaves) for part in tree) if isinstance(tree, list | tuple) else tree
