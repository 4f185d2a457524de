"""Conditions that do not belong to their data, for the third kind of pairs in a conditional game."""

import torch
from torch import Tensor

from gantrain.core.device import upload


def wrong_conditions(y: Tensor, classes: int, generator: torch.Generator) -> Tensor | None:
    """Return another condition for each sample, uniform over those that differ from its own.

    Args:
        y: Right classes, shape [N], int64; or condition vectors, shape [N, K].
        classes: Number of classes, at least 2; condition vectors are exchanged within the batch instead.
        generator: On the CPU.

    Returns:
        Shaped as ``y``; None when all condition vectors of the batch are equal.
    """
    if y.dim() == 1:
        # A shift of 1 to classes - 1 never hits the right class.
        return (y + upload(torch.randint(1, classes, y.shape, generator=generator), y.device)) % classes
    # Equal condition vectors count as one kind; each is shifted to another kind.
    kinds, which = torch.unique(y.cpu(), dim=0, return_inverse=True)
    if len(kinds) == 1:
        return None
    shift = torch.randint(1, len(kinds), which.shape, generator=generator)
    return kinds[(which + shift) % len(kinds)].to(y.device)
