"""Training batches by number: shuffled, endless, a function of the seed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.random import stream
from gantrain.datasets.base import Split


@dataclass
class Batches:
    """The endless shuffled stream of training batches, addressed by number.

    Every sample is seen once in each pass; pass ``e`` is in the order that (seed, e) gives.

    Attributes:
        split: The training data.
        size: Samples in a batch.
        seed: The run's seed.
        device: Where batches go.
    """

    split: Split
    size: int
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        self._orders: dict[int, Tensor] = {}

    def __call__(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Return batch ``number`` of the run: samples [size, ...] and their labels [size] or None."""
        at, end, count = number * self.size, (number + 1) * self.size, len(self.split)
        pieces = []
        while at < end:
            turn, start = divmod(at, count)
            stop = min(count, start + end - at)
            pieces.append(self._order(turn)[start:stop])
            at += stop - start
        return self.split.take(pieces[0] if len(pieces) == 1 else torch.cat(pieces), self.device)

    def _order(self, turn: int) -> Tensor:
        if turn not in self._orders:
            self._orders = {t: order for t, order in self._orders.items() if t == turn - 1}
            self._orders[turn] = torch.randperm(len(self.split), generator=stream(self.seed, turn, "order"))
        return self._orders[turn]
