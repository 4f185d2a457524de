"""Training batches by number: shuffled, endless, a function of the seed."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gantrain.config.options import Config
from gantrain.core.random import stream
from gantrain.datasets.base import Split


@dataclass
class Batches:
    """The endless shuffled stream of training batches, addressed by number.

    Every sample comes once in each epoch, whose order is a function of the seed and the number of the epoch.

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
        # Positions in the stream of all epochs, one after another.
        position, end, count = number * self.size, (number + 1) * self.size, len(self.split)
        pieces = []
        # A batch may span two epochs, or more if it is larger than the data.
        while position < end:
            epoch, start = divmod(position, count)
            stop = min(count, start + end - position)
            pieces.append(self._order(epoch)[start:stop])
            position += stop - start
        # Concatenating one piece would copy it.
        return self.split.take(pieces[0] if len(pieces) == 1 else torch.cat(pieces), self.device)

    def _order(self, epoch: int) -> Tensor:
        """Return an epoch's permutation, keeping the previous one, which a batch across the border needs again."""
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = torch.randperm(len(self.split), generator=stream(self.seed, epoch, "order"))
        return self._orders[epoch]


def visible_split(split: Split, config: Config) -> Split:
    """Return part of the data as the networks see it: without labels if the model is not conditional."""
    return split if config.model.is_conditional else replace(split, y=None)
