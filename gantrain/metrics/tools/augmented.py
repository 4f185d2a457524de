"""Samples as a D whose inputs are augmented sees them."""

import torch
from torch import Tensor

from gantrain.augment.base import Augmentation
from gantrain.core.memory import Memory
from gantrain.metrics.side import CHUNK, in_chunks


def augment_samples(
    augment: Augmentation, x: Tensor, generator: torch.Generator, memory: Memory | None = None
) -> Tensor:
    """Return samples x [N, ...] augmented, by random numbers of a generator on the CPU."""

    def see(part: Tensor, numbers: Tensor | None) -> Tensor:
        return augment(part, torch.empty(0) if numbers is None else numbers, memory)

    numbers = augment.draw(len(x), generator).to(x.device)
    return torch.cat([*in_chunks(see, x.split(CHUNK), numbers, CHUNK)])
