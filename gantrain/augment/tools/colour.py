"""Affine maps of colours, one for each image, about the grey axis; images have channels in [-1, 1]."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gantrain.augment.tools.affine import affine

# The part of a colour (r, g, b) that is grey is G (r, g, b), with G the matrix of entries 1/3.
GREY = 1 / 3


def brightening(shift: Tensor) -> Tensor:
    """Return the maps that add a number [N] to each channel, as homogeneous matrices [N, 4, 4]."""
    return affine([[1, 0, 0, shift], [0, 1, 0, shift], [0, 0, 1, shift], [0, 0, 0, 1]], shift)


def contrasting(factor: Tensor) -> Tensor:
    """Return the maps that multiply each channel by a factor [N], as matrices [N, 4, 4]."""
    return affine([[factor, 0, 0, 0], [0, factor, 0, 0], [0, 0, factor, 0], [0, 0, 0, 1]], factor)


def saturating(colour: Tensor, grey: Tensor | float = 1.0) -> Tensor:
    """Return the maps that multiply what is grey and the rest of a colour by factors, as matrices [N, 4, 4].

    ``colour`` = s changes the saturation; ``grey`` = -1 exchanges dark and light at the same hue, the Householder
    reflection of Karras et al. 2020, app. B.
    """
    mixed = (grey - colour) * GREY  # s I + (g - s) G
    same = colour + mixed
    return affine(
        [[same, mixed, mixed, 0], [mixed, same, mixed, 0], [mixed, mixed, same, 0], [0, 0, 0, 1]], colour
    )


def hue_rotation(angle: Tensor) -> Tensor:
    """Return the rotations of colours about the grey axis by an angle [N] in radians, as matrices [N, 4, 4]."""
    # Rodrigues' formula: cos I + (1 - cos) G + sin K, with K the cross product by (1, 1, 1) / sqrt 3.
    cos, sin = angle.cos(), angle.sin() / math.sqrt(3)
    mixed = (1 - cos) * GREY
    same, less, more = cos + mixed, mixed - sin, mixed + sin
    return affine([[same, less, more, 0], [more, same, less, 0], [less, more, same, 0], [0, 0, 0, 1]], angle)


def recolour(x: Tensor, colour: Tensor) -> Tensor:
    """Return images x [N, C, H, W] under maps of colours, homogeneous matrices [N, 4, 4].

    A grey image is taken for one of three equal channels, whose mean is its new level; a fourth channel, its
    transparency, is kept.
    """
    linear, shift = colour[:, :3, :3, None, None], colour[:, :3, 3, None, None]
    if x.shape[1] < 3:
        return x * (linear.sum((1, 2)) / 3)[:, None] + shift.mean(1, keepdim=True)
    new = sum((linear[:, :, k] * x[:, k, None] for k in range(3)), shift)
    return new if x.shape[1] == 3 else torch.cat([new, x[:, 3:]], 1)
