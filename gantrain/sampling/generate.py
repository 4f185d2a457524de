"""Samples of a generator as a function of the seed."""

import torch
from torch import Tensor

from gantrain.core.spec import bounded
from gantrain.metrics.side import CHUNK
from gantrain.models.base import Generator
from gantrain.sampling.latents import latents


def draw(
    G: Generator,
    n: int,
    seed: int,
    conditions: Tensor | None,
    device: torch.device,
    truncation: float | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Return ``n`` samples [n, ...] on the CPU and their conditions; the same seed gives the same samples.

    Args:
        G: The generator; it is put in eval mode.
        n: Number of samples.
        seed: Seed of the latents.
        conditions: One a row, repeated in turn; None for an unconditional model.
        device: Where G is.
        truncation: As for ``latents``, also in what it raises.
    """
    y = repeat_conditions(conditions, n)
    return generate(G, latents(G, n, seed, truncation), y, device), y


def repeat_conditions(conditions: Tensor | None, n: int) -> Tensor | None:
    """Return ``n`` rows that repeat the conditions in turn; None for no conditions."""
    return None if conditions is None else conditions[torch.arange(n) % len(conditions)]


@torch.no_grad()
def generate(G: Generator, z: Tensor, y: Tensor | None, device: torch.device) -> Tensor:
    """Return the samples G(z, y) in chunks, in eval mode, [N, ...] float32 on the CPU, pixels in [-1, 1]."""
    G.eval()
    # In chunks: memory bounds how many samples a network can take at once.
    parts = [
        G(z[i : i + CHUNK].to(device), None if y is None else y[i : i + CHUNK].to(device)).float().cpu()
        for i in range(0, len(z), CHUNK)
    ]
    return bounded(torch.cat(parts))
