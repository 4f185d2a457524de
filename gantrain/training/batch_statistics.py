"""The statistics of batch norm in a network that sees a batch in parts: each part normalises by its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from gantrain.distributed.shards import Parts
from gantrain.models.layers import batch_statistics

T = TypeVar("T")


class BatchStatistics:
    """The running statistics of a network that changes in place.

    Every part starts from those of before the batch, and they move to the mean of what the parts move them to: in one
    process or several, as by a batch norm of the mean of the parts' statistics.

    Args:
        network: With or without batch norm.
        parts: Of a batch.
    """

    def __init__(self, network: nn.Module, parts: Parts):
        self._parts, self._buffers = parts, list(batch_statistics(network).values())

    def mean_over_parts(self, compute: Callable[[T], Sequence[Tensor]], own: Iterable[T]) -> list[Tensor]:
        """Return the means over all parts of the tensors that ``compute`` returns for each own one."""
        before = [buffer.clone() for buffer in self._buffers]

        def tensors_of(part: T) -> list[Tensor]:
            self._set(before)
            tensors = compute(part)
            return [*self._buffers, *tensors]

        means = self._parts.mean(map(tensors_of, own))
        self._set(means[: len(before)])
        return means[len(before) :]

    def over_parts(self, compute: Callable[[T], object], own: Sequence[T]) -> None:
        """Call ``compute``, which passes samples through the network, for each own part."""
        if self._parts.count == 1 or not self._buffers:
            for part in own:
                compute(part)
            return

        def nothing_else(part: T) -> Sequence[Tensor]:
            compute(part)
            return ()

        self.mean_over_parts(nothing_else, own)

    @torch.no_grad()
    def _set(self, values: Sequence[Tensor]) -> None:
        for buffer, value in zip(self._buffers, values, strict=True):
            buffer.copy_(value)
