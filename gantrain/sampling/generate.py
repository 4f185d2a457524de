"""Samples of a generator: the same seed, the same samples."""

from __future__ import annotations

import torch
from torch import Tensor

from gantrain.metrics.base import CHUNK
from gantrain.models.base import Generator
from gantrain.sampling.latents import latents


def draw(
    G: Generator,
    n: int,
    seed: int,
    asked: Tensor | None,
    device: torch.device,
    truncation: float | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Return ``n`` samples [n, ...] on the CPU and what each was asked for; the same seed, the same samples.

    Args:
        G: The generator, put in eval mode.
        n: How many.
        seed: Seed of the latents.
        asked: Conditions to repeat in turn, one a row; None for an unconditional model.
        device: Where G is.
        truncation: Largest absolute value in z; None for z as it is trained with.

    Raises:
        ConfigError: For a truncation where there is no z.
    """
    y = in_turn(asked, n)
    return made(G, latents(G, n, seed, truncation), y, device), y


def in_turn(asked: Tensor | None, n: int) -> Tensor | None:
    """Return ``n`` conditions, those asked for in turn; None where there are none."""
    return None if asked is None else asked[torch.arange(n) % len(asked)]


@torch.no_grad()
def made(G: Generator, z: Tensor, y: Tensor | None, device: torch.device) -> Tensor:
    """Return what a generator, put in eval mode, makes of latents and conditions [N, ...], float32 on the CPU."""
    G.eval()
    parts = [
        G(z[i : i + CHUNK].to(device), None if y is None else y[i : i + CHUNK].to(device)).float().cpu()
        for i in range(0, len(z), CHUNK)
    ]
    return torch.cat(parts)
