"""Training batches by number: shuffled, endless, a function of the seed."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gantrain.config.options import Config
from gantrain.core.device import upload
from gantrain.core.random import stream
from gantrain.datasets.base import Split, scaled
from gantrain.distributed.group import Group, OneProcess
from gantrain.training.transfer import Ahead, Sender, Sent


@dataclass
class Batches:
    """The endless shuffled stream of training batches, addressed by number.

    Every sample comes once in each epoch, whose order is a function of the seed and the number of the epoch. For CUDA
    the data lie on the device, or, where they do not fit, the next batches are copied there ahead of time.

    Attributes:
        split: The training data.
        size: Samples in a batch.
        seed: The run's seed.
        device: Where batches go.
        group: The processes that share each batch, in equal parts.
    """

    split: Split
    size: int
    seed: int
    device: torch.device
    group: Group = field(default_factory=OneProcess)

    def __post_init__(self) -> None:
        self._orders: dict[int, Tensor] = {}
        self._ahead: Ahead[Sent] | None = None
        if self.device.type == "cuda":
            self.split = self.split.resident(self.device)
            if self.split.x.device.type == "cpu":
                self._sender, self._ahead = Sender(self.device), Ahead(self._send)

    def __call__(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Return this process's rows of batch ``number``: samples [size / processes, ...] and their labels or None."""
        if self._ahead is None:
            batch = self.split.take(self._own_index(number), self.device)
            if self.split.file is not None:
                self.split.file.prefetch(self.split.places(self._own_index(number + 1)))
            return batch
        x, *labels = self._sender.receive(self._ahead(number))
        return scaled(x), labels[0] if labels else None

    def _send(self, number: int) -> Sent:
        """Gather a batch as it is stored, and start to copy it."""
        x, y = self.split.select(self._own_index(number))
        return self._sender.send([x] if y is None else [x, y])

    def conditions(self, number: int) -> Tensor | None:
        """Return the labels of all processes' rows of batch ``number``, or None."""
        y = self.split.y
        return None if y is None else upload(y[self._index(number)], self.device)

    def _own_index(self, number: int) -> Tensor:
        """Return which samples of batch ``number`` this process has."""
        index = self._index(number)
        return index if self.group.size == 1 else index.chunk(self.group.size)[self.group.rank]

    def _index(self, number: int) -> Tensor:
        """Return which samples batch ``number`` has, shape [size]."""
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
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _order(self, epoch: int) -> Tensor:
        """Return an epoch's permutation, keeping the previous one, which a batch across the border needs again."""
        if epoch not in self._orders:
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            order = torch.randperm(len(self.split), generator=stream(self.seed, epoch, "order"))
            self._orders[epoch] = upload(order, self.split.x.device)
        return self._orders[epoch]


def visible_split(split: Split, config: Config) -> Split:
    """Return part of the data as the networks see it: without labels if the model is not conditional."""
    return split if config.model.is_conditional else replace(split, y=None)
