"""A batch in parts, and means over them that have the same bits however many processes share the parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gantrain.distributed.group import Group, OneProcess


class TreeSum:
    """The sum of tensors that arrive one after another, in a binary tree that their number alone decides.

    Neighbours are added, then neighbouring sums, and so on; a last one without a neighbour waits for the level where it
    has one. So no more sums are kept than the tree has levels.
    """

    def __init__(self) -> None:
        self._sums: list[tuple[int, Tensor]] = []  # with the level of each, from the left

    def add(self, x: Tensor) -> None:
        """Add the next tensor."""
        level = 0
        while self._sums and self._sums[-1][0] == level:
            x = self._sums.pop()[1] + x
            level += 1
        self._sums.append((level, x))

    def total(self) -> Tensor:
        """Return the sum of all, at least one."""
        *others, (_, total) = self._sums
        for _, x in reversed(others):
            total = x + total
        return total


def tree_sum(tensors: Iterable[Tensor]) -> Tensor:
    """Return the sum of at least one tensor by ``TreeSum``."""
    tree = TreeSum()
    for x in tensors:
        tree.add(x)
    return tree.total()


@dataclass(frozen=True)
class Parts:
    """How a batch is cut into equal parts, and how what the parts compute is averaged.

    Attributes:
        count: Parts of a whole batch.
        group: The processes that share them: each has equally many, in order.
        is_exact: Whether the mean has the same bits for every number of processes. Each process then holds the sums of
            all others; otherwise they are added while they travel.
        has_whole_statistics: Whether batch norm normalises by the statistics of the whole batch, not of each part.
    """

    count: int = 1
    group: Group = field(default_factory=OneProcess)
    is_exact: bool = True
    has_whole_statistics: bool = False

    @property
    def own(self) -> int:
        """The number of parts that this process computes."""
        return self.count // self.group.size

    def mean(self, of_parts: Iterable[Sequence[Tensor]]) -> list[Tensor]:
        """Return the means over all parts of the tensors that each part computes.

        Args:
            of_parts: For each own part, in order, tensors of the same shapes and layouts, float32; a part is computed
                when it is taken.
        """
        like: Sequence[Tensor] = ()
        is_alone = self.group.size == 1
        # Neighbours whose sum is a node of the whole tree are added here, which leaves less to exchange.
        size, nodes = self.own & -self.own, list[TreeSum]()
        for number, tensors in enumerate(of_parts):
            like = tensors if is_alone else [*tensors, self._call(tensors[0])]
            if number % size == 0:
                nodes.append(TreeSum())
            nodes[-1].add(flatten(like))
        own = [node.total() for node in nodes]
        if is_alone:
            total = tree_sum(own)
        elif self.is_exact:
            total = tree_sum(x for of_rank in self.group.gather(torch.stack(own)) for x in of_rank)
        else:
            total = self.group.sum(tree_sum(own))
        means = views_of(total / self.count, like)
        if not is_alone:
            self.group.hear(means.pop())
        return means

    def gather(self, own: Sequence[Tensor]) -> Tensor:
        """Return the tensors of all parts, [count, ...], from those of the own ones, all of one shape."""
        return torch.cat(self.group.gather(torch.stack(list(own))))

    def _call(self, like: Tensor) -> Tensor:
        """Return the number that tells the others whether this process calls them."""
        return torch.full((), float(self.group.calls), device=like.device)


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """Return all values in one vector, each tensor's in the order in which it lies in memory."""
    flat = torch.empty(sum(x.numel() for x in tensors), device=tensors[0].device)
    torch._foreach_copy_(views_of(flat, tensors), [x.detach() for x in tensors])
    return flat


def views_of(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Return views of a vector with the shapes and strides of dense tensors, one after another."""
    views, start = [], 0
    for x in like:
        views.append(flat.as_strided(x.shape, x.stride(), start))
        start += x.numel()
    return views
