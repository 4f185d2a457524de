"""What samples are drawn from: latents as a function of the seed, cut short, and the way from one to the next."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from gantrain.core.random import stream
from gantrain.errors import ConfigError
from gantrain.models.base import Generator


def latents(G: Generator, n: int, seed: int, truncation: float | None = None, turn: int = 0) -> Tensor:
    """Return ``n`` latents on the CPU, masks of dropout included; the same seed and turn, the same latents.

    Args:
        G: The generator that takes them.
        n: How many.
        seed: Any number of at least 0.
        truncation: Largest absolute value in z, above 0; None for the normal law itself.
        turn: Which of the seed's sets of latents; stills are of turn 0.

    Raises:
        ConfigError: For a truncation where dropout alone is the source, which has no z.
    """
    drawn = G.latents(n, stream(seed, turn, "sample"))
    if truncation is None:
        return drawn
    if not G.has_z:
        raise ConfigError(
            "truncation", "this generator has no normal z: dropout is its only source", "leave it out"
        )
    return torch.cat([truncated(drawn[:, : G.z_dim], truncation), drawn[:, G.z_dim :]], 1)


def truncated(z: Tensor, threshold: float) -> Tensor:
    """Return standard normal numbers as normal numbers that are within ``threshold`` of 0, by quantiles.

    That is the law of resampling what is beyond until it is within (Brock et al. 2019, sec. 3.1), as a function of z:
    each number keeps its rank, and a threshold that grows gives z back.

    Args:
        z: Any shape.
        threshold: Above 0.
    """
    # In tails, whose probabilities do not round to 1, and by erfc, since torch's ndtr is 0 from 9 on.
    beyond = 0.5 * math.erfc(threshold / math.sqrt(2))
    rank = beyond + (1 - 2 * beyond) * 0.5 * torch.erfc(z.double().abs() / math.sqrt(2))
    # The rounding to float32 must not step over the threshold.
    within = torch.nextafter(torch.tensor(float(threshold)), torch.tensor(0.0))
    return (-torch.special.ndtri(rank)).float().clamp(max=float(within)).copysign(z)


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Return the point at ``t`` in [0, 1] of the arc from each row of ``a`` [N, d] to that of ``b``, [N, d].

    On the way the norm stays what draws of a normal law have, where a straight line goes through norms that never
    occur (Shoemake 1985; White 2016). Rows on one line through 0 have no arc and are joined by a straight line.
    """
    p, q = a.double(), b.double()
    norms = p.norm(dim=1, keepdim=True) * q.norm(dim=1, keepdim=True)
    angle = torch.acos(((p * q).sum(1, keepdim=True) / norms).clamp(-1, 1))
    sine = torch.sin(angle)
    straight = ~(sine > 1e-6)  # of a row of zeros too, whose angle is not a number
    from_a = torch.where(straight, 1 - t, torch.sin((1 - t) * angle) / sine)
    from_b = torch.where(straight, t, torch.sin(t * angle) / sine)
    return (from_a * p + from_b * q).float()


def closed_way(
    G: Generator, n: int, seed: int, turns: int, frames: int, truncation: float | None = None
) -> Iterator[Tensor]:
    """Return the latents [n, ...] of each frame of a closed way through ``turns`` sets of latents, the stills' first.

    Masks of dropout stay what they are in the first set: between two masks there is no way.

    Args:
        G: The generator that takes them.
        n: Latents in each frame.
        seed: Seed of the sets.
        turns: Sets on the way.
        frames: Frames in all, evenly spaced; the one after the last is the first again.
        truncation: As for ``latents``, of the sets.

    Raises:
        ConfigError: Where dropout is the only source.
    """
    if not G.has_z:
        what = "this generator's only source is dropout, whose masks have nothing between them"
        raise ConfigError("interpolate", what, "leave it out")
    sets = [latents(G, n, seed, truncation, turn) for turn in range(turns)]
    masks = sets[0][:, G.z_dim :]

    def at(frame: int) -> Tensor:
        turn, rest = divmod(frame * turns, frames)
        here, there = (sets[i % turns][:, : G.z_dim] for i in (turn, turn + 1))
        return torch.cat([slerp(here, there, rest / frames), masks], 1)

    return map(at, range(frames))
