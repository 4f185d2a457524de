"""Latents as a function of the seed: truncation and interpolation."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from gantrain.core.random import stream
from gantrain.errors import ConfigError
from gantrain.models.base import Generator


def latents(G: Generator, n: int, seed: int, truncation: float | None = None, index: int = 0) -> Tensor:
    """Return ``n`` latents on the CPU, dropout masks included, as a function of seed and index.

    Args:
        G: The generator that takes them.
        n: Number of latents.
        seed: At least 0.
        truncation: Largest absolute value in z, above 0; for a generator by styles psi, how far a style is from the
            mean one, at least 0, which is a last number of each latent. None for no truncation.
        index: Which of the seed's sets of latents; still samples use set 0.

    Raises:
        ConfigError: For a truncation without z, where dropout is the only source of noise, and for one at 0.
    """
    z = G.latents(n, stream(seed, index, "sample"))
    if truncation is None:
        return z
    if G.has_styles:
        return torch.cat([z, torch.full((n, 1), truncation)], 1)
    if not G.has_z:
        what = "this generator has no normal z: dropout is its only source"
        raise ConfigError("truncation", what, "leave it out")
    if truncation == 0:
        what = "at 0 nothing of z is left: this generator has no styles, whose mean it would show"
        raise ConfigError("truncation", what, "give a number above 0")
    return torch.cat([truncated(z[:, : G.z_dim], truncation), z[:, G.z_dim :]], 1)  # masks stay


def truncated(z: Tensor, threshold: float) -> Tensor:
    """Map standard normal z to the normal distribution truncated at ``threshold``, quantile by quantile.

    That is the distribution of resampling values beyond the threshold (Brock et al. 2019, sec. 3.1), as a monotone
    function of z: as the threshold grows, it tends to z.

    ``z`` has any shape; ``threshold`` is above 0.
    """
    # Upper tail probabilities, which do not round to 1; by erfc, since torch's ndtr is 0 from 9 on.
    tail = 0.5 * math.erfc(threshold / math.sqrt(2))
    quantile = tail + (1 - 2 * tail) * 0.5 * torch.erfc(z.double().abs() / math.sqrt(2))
    # Rounding to float32 must not exceed the threshold.
    largest = torch.nextafter(torch.tensor(float(threshold)), torch.tensor(0.0))
    return (-torch.special.ndtri(quantile)).float().clamp(max=float(largest)).copysign(z)


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Interpolate on the arc from each row of ``a`` [N, d] to that of ``b``, at ``t`` in [0, 1]: [N, d].

    The norm stays typical of normal draws, where a straight line passes through norms that hardly occur (Shoemake
    1985; White 2016). Collinear rows have no arc and are interpolated on a straight line.
    """
    p, q = a.double(), b.double()
    norms = p.norm(dim=1, keepdim=True) * q.norm(dim=1, keepdim=True)
    # slerp(a, b, t) = (sin((1 - t) w) a + sin(t w) b) / sin w with w the angle between a and b
    angle = torch.acos(((p * q).sum(1, keepdim=True) / norms).clamp(-1, 1))
    sine = torch.sin(angle)
    straight = ~(sine > 1e-6)  # also where a row is 0 and the angle is NaN
    from_a = torch.where(straight, 1 - t, torch.sin((1 - t) * angle) / sine)
    from_b = torch.where(straight, t, torch.sin(t * angle) / sine)
    return (from_a * p + from_b * q).float()


def interpolation_loop(
    G: Generator, n: int, seed: int, count: int, frames: int, truncation: float | None = None
) -> Iterator[Tensor]:
    """Return the latents [n, ...] of each frame of a loop through ``count`` sets; the first is that of still samples.

    Dropout masks are those of the first set throughout, since masks cannot be interpolated.

    Args:
        G: The generator that takes them.
        n: Latents in each frame.
        seed: Seed of the sets.
        count: Number of sets.
        frames: Number of frames, evenly spaced; the one after the last is the first again.
        truncation: As for ``latents``.

    Raises:
        ConfigError: Where dropout is the only source.
    """
    if not G.has_z:
        what = "this generator's only source is dropout, whose masks cannot be interpolated"
        raise ConfigError("interpolate", what, "leave it out")
    sets = [latents(G, n, seed, truncation, index) for index in range(count)]
    masks = sets[0][:, G.z_dim :]

    def latents_of(frame: int) -> Tensor:
        # The position on the loop, in sets: its whole part selects the arc, the rest the point on it.
        index, rest = divmod(frame * count, frames)
        start, end = (sets[i % count][:, : G.z_dim] for i in (index, index + 1))
        return torch.cat([slerp(start, end, rest / frames), masks], 1)

    return map(latents_of, range(frames))
