"""The running statistics of a network that sees a batch in parts: of each part, or of the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from gantrain.distributed.lockstep import in_lockstep
from gantrain.distributed.shards import Parts
from gantrain.models.norms import has_batch_norm, running_statistics
from gantrain.training.learners import Batch

T = TypeVar("T")


class BatchStatistics:
    """The running statistics of a network that changes in place.

    Where each part normalises by its own statistics, it starts from those of before the batch, and they move to the
    mean of what the parts move them to: in one process or several, as by a batch norm of the mean of the parts'
    statistics. Where all normalise by those of the whole batch, all own parts pass the network at once.

    Args:
        network: With or without batch norm.
        parts: Of a batch.

    Attributes:
        are_whole: Whether the network normalises by those of a whole batch that has several parts.
    """

    def __init__(self, network: nn.Module, parts: Parts):
        self._network, self._parts = network, parts
        self._buffers = list(running_statistics(network).values())
        self.are_whole = parts.has_whole_statistics and parts.count > 1 and has_batch_norm(network)

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

    def outputs(self, inputs: Sequence[Batch]) -> list[Tensor]:
        """Return the network's outputs on each own part; called without gradients."""
        if self.are_whole:
            return in_lockstep(self._network, inputs, self._parts)
        if self._parts.count == 1 or not self._buffers:
            return [self._network(*batch) for batch in inputs]
        outputs: list[Tensor] = []

        def compute(batch: Batch) -> Sequence[Tensor]:
            outputs.append(self._network(*batch))
            return ()

        self.mean_over_parts(compute, inputs)
        return outputs

    @torch.no_grad()
    def _set(self, values: Sequence[Tensor]) -> None:
        for buffer, value in zip(self._buffers, values, strict=True):
            buffer.copy_(value)
