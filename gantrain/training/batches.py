"""Training batches by number: shuffled, endless, a function of the seed."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gantrain.config.options import Config
from gantrain.core.device import upload
from gantrain.core.random import stream
from gantrain.datasets.base import Data, Split, scaled
from gantrain.distributed.group import Group, OneProcess
from gantrain.training.balance import EqualShares
from gantrain.training.transfer import Ahead, Sender, Sent


@dataclass
class Batches:
    """The endless shuffled stream of training batches, addressed by number.

    Every sample comes once in each pass, or every class equally often with ``shares``. The order is a function of the
    seed and the number of the pass. For CUDA
    the data lie on the device, or, where they do not fit, the next batches are copied there ahead of time.

    Attributes:
        split: The training data.
        size: Samples in a batch.
        seed: The run's seed.
        device: Where batches go.
        group: The processes that share each batch, in equal parts.
        shares: The order of passes with equal shares of classes; None for those of the data.
    """

    split: Split
    size: int
    seed: int
    device: torch.device
    group: Group = field(default_factory=OneProcess)
    shares: EqualShares | None = None

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
        position, end, count = number * self.size, (number + 1) * self.size, len(self.shares or self.split)
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
            if self.shares:
                order = self.shares.order(self.seed, epoch)
            else:
                order = torch.randperm(len(self.split), generator=stream(self.seed, epoch, "order"))
            self._orders[epoch] = upload(order, self.split.x.device)
        return self._orders[epoch]


def training_batches(data: Data, config: Config, device: torch.device, group: Group | None = None) -> Batches:
    """Return the batches of a run, with equal shares of classes if its config says so."""
    split, shares = visible_split(data.train, config), equal_shares(data, config)
    return Batches(split, config.train.batch_size, config.seed, device, group or OneProcess(), shares)


def equal_shares(data: Data, config: Config) -> EqualShares | None:
    """Return the equal shares of classes of a run with ``train.balance``, also of one whose networks see no labels."""
    return EqualShares(data.train.y.cpu()) if config.train.balance and data.train.y is not None else None


def visible_split(split: Split, config: Config) -> Split:
    """Return part of the data as the networks see it: without labels if the model is not conditional."""
    return split if config.model.is_conditional else replace(split, y=None)
