"""Affine maps of the plane, one for each image, and images resampled by them.

Positions are in pixels from the centre of the image, x to the right and y down. Everything is elementwise or a gather,
whose gradient has the same bits at each repetition on a GPU too, as that of ``grid_sample`` has not; and moves by whole
pixels are exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def affine(rows: Sequence[Sequence[Tensor | float]], like: Tensor) -> Tensor:
    """Return square matrices [N, d, d] of entries that are numbers, or one number for each image [N]."""
    entries = [torch.stack([like * 0 + entry for entry in row], 1) for row in rows]
    return torch.stack(entries, 1)


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Return the maps of (x, y) to (sx x, sy y) for factors [N], as homogeneous matrices [N, 3, 3]."""
    return affine([[x, 0, 0], [0, y, 0], [0, 0, 1]], x)


def rotation(angle: Tensor) -> Tensor:
    """Return the rotations by an angle [N] in radians, from the x-axis to the y-axis, as matrices [N, 3, 3]."""
    cos, sin = angle.cos(), angle.sin()
    return affine([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], angle)


def translation(x: Tensor, y: Tensor) -> Tensor:
    """Return the translations by (x, y), both [N] in pixels, as matrices [N, 3, 3]."""
    return affine([[1, 0, x], [0, 1, y], [0, 0, 1]], x)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return the products of matrices [N, d, d], in full precision wherever they are."""
    return (a[:, :, :, None] * b[:, None]).sum(2)


def resample(x: Tensor, source: Tensor) -> Tensor:
    """Return images x [N, C, H, W] whose pixel at each position is that of x at the position ``source`` maps it to.

    Bilinear between pixels, and reflected at the centres of the outer ones, as often as it takes.

    Args:
        x: Images with sides of two pixels or more.
        source: Homogeneous matrices [N, 3, 3].
    """
    channels, height, width = x.shape[1:]
    across = torch.arange(width, device=x.device, dtype=x.dtype) - (width - 1) / 2
    down = torch.arange(height, device=x.device, dtype=x.dtype)[:, None] - (height - 1) / 2
    (a, b, c), (d, e, f) = (source[:, i, :, None, None].unbind(1) for i in (0, 1))
    left, right = _between(a * across + b * down + c, width)
    top, below = _between(d * across + e * down + f, height)
    index = (top * width + left).long().flatten(1)[:, None].expand(-1, channels, -1)
    flat = x.flatten(2)
    corners = [flat.gather(2, index + offset).view_as(x) for offset in (0, 1, width, width + 1)]
    right, below = right[:, None], below[:, None]
    upper, lower = torch.lerp(corners[0], corners[1], right), torch.lerp(corners[2], corners[3], right)
    return torch.lerp(upper, lower, below)


def _between(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the pixel before each position from the centre, reflected into the image, and the way to the next one."""
    last = size - 1
    place = last - ((position + last / 2).remainder(2 * last) - last).abs()
    before = place.floor().clamp(max=last - 1)
    return before, place - before
