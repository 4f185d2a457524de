"""Equal shares of classes: the order of a pass in which every class comes equally often."""

import torch
from torch import Tensor

from gantrain.core.random import stream


class EqualShares:
    """Passes over K classes with N // K samples of each, one of each class in every K samples in a row.

    A class with more samples shows other ones in each pass; one with fewer repeats them, all equally often but for one
    time. Classes without a sample have no share.

    Args:
        y: The class of each training sample, [N].
    """

    def __init__(self, y: Tensor):
        counts = y.unique(return_counts=True)[1].tolist()
        self.rows = y.argsort(stable=True).split(counts)  # those of each class
        self.share = max(1, len(y) // len(self.rows))  # samples of a class in a pass

    def __len__(self) -> int:
        return self.share * len(self.rows)

    def order(self, seed: int, number: int) -> Tensor:
        """Return which samples a pass shows, [K * share], a function of the seed and the pass."""
        generator = stream(seed, number, "balanced order")
        chosen = torch.stack([self._choose(rows, generator) for rows in self.rows], 1)  # [share, K]
        return chosen.gather(1, torch.rand(chosen.shape, generator=generator).argsort(1)).flatten()

    def _choose(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return ``share`` of the samples of a class, all of them before one comes again."""
        times = -(-self.share // len(rows))
        return torch.cat([rows[torch.randperm(len(rows), generator=generator)] for _ in range(times)])[
            : self.share
        ]

    def __str__(self) -> str:
        counts = sorted(map(len, self.rows))
        return (
            f"train.balance: each pass has {self.share:,} samples of each of {len(counts)} classes, of which there are "
            f"{counts[0]:,} to {counts[-1]:,}; held-out samples keep the shares of the data"
        )
