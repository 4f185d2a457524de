"""Samples as pictures: grids, nearest training images, figures in the plane."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gantrain.core.figures import panels, render
from gantrain.datasets.base import Data, Split

LEGIBLE = 32  # pixels that each cell of a grid has at least


@dataclass(frozen=True)
class Picture:
    """An encoded image.

    Attributes:
        png: The file's bytes.
        size: Width and height in pixels.
    """

    png: bytes
    size: tuple[int, int]


def encode(image: Image.Image) -> Picture:
    """Return an image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return Picture(buffer.getvalue(), image.size)


def to_uint8(x: Tensor) -> Tensor:
    """Return images [N, C, H, W] in [-1, 1] as uint8 [N, H, W, C] on the CPU, rounded and clipped."""
    return (
        x.detach().float().cpu().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    )


def to_image(pixels: np.ndarray) -> Image.Image:
    """Return an image of uint8 pixels [H, W, C], C of 1, 3 or 4."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def grid(x: Tensor, columns: int) -> Image.Image:
    """Lay images [N, C, H, W] in [-1, 1] out row by row; small ones are enlarged by whole pixels."""
    pixels = to_uint8(x).numpy()
    count, h, w, c = pixels.shape
    scale = -(-LEGIBLE // min(h, w))
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    h, w = h * scale, w * scale
    rows = -(-count // columns)
    sheet = np.zeros((rows * (h + 2) + 2, columns * (w + 2) + 2, c), np.uint8)
    for i, cell in enumerate(pixels):
        top, left = (i // columns) * (h + 2) + 2, (i % columns) * (w + 2) + 2
        sheet[top : top + h, left : left + w] = cell
    return to_image(sheet)


def by_condition(x: Tensor, y: Tensor | None) -> Tensor:
    """Return samples ordered by what they were asked for, classes by number and others by their first row."""
    if y is None:
        return x
    if y.dim() == 1:
        return x[torch.argsort(y, stable=True)]
    kinds: dict[tuple[float, ...], int] = {}
    rank = [kinds.setdefault(tuple(row), len(kinds)) for row in y.tolist()]
    return x[torch.argsort(torch.tensor(rank), stable=True)]


def nearest(x: Tensor, train: Split) -> Tensor:
    """Return each sample's nearest training sample in Euclidean distance, shape [N, ...]."""
    best = torch.full((len(x),), torch.inf)
    index = torch.zeros(len(x), dtype=torch.int64)
    rows = x.flatten(1).cpu()
    for i in range(0, len(train), 10_000):
        part, _ = train.take(torch.arange(i, min(i + 10_000, len(train))))
        # Not by matrix product, whose rounding exceeds the distance between a copy and a near copy.
        exact = torch.cdist(rows, part.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
        distance, at = exact.min(1)
        index = torch.where(distance < best, at + i, index)
        best = torch.minimum(distance, best)
    return train.take(index)[0]


def beside_nearest(x: Tensor, train: Split, columns: int = 8) -> Image.Image:
    """Lay out samples, and under each row the nearest training images; a copy shows as a pair of equals."""
    rows = []
    for part in x.split(columns):
        rows += [part.cpu(), nearest(part, train)]
    return grid(torch.cat(rows), columns)


@torch.inference_mode()
def landscape(fake: Tensor, data: Data, D: Callable[[Tensor], Tensor], title: str) -> Image.Image:
    """Draw samples [N, 2] and held-out data over sigmoid(D) on the plane.

    Args:
        fake: Samples.
        data: Two-dimensional points; the held-out ones set the frame.
        D: Points [M, 2] to logits [M].
        title: Step and estimate, written into the picture since dashboards give images no caption.
    """
    real, _ = data.holdout.take(torch.arange(min(2000, len(data.holdout))))
    low, high = real.amin(0), real.amax(0)
    margin = 0.25 * float((high - low).max()) or max(
        1.0, 0.25 * float(real.abs().max())
    )  # all data in one point
    low, high = low - margin, high + margin
    side = 120
    axes = [torch.linspace(float(a), float(b), side) for a, b in zip(low, high, strict=True)]
    plane = torch.cartesian_prod(*axes)
    surface = torch.sigmoid(D(plane).float().cpu()).reshape(side, side).T
    figure, (ax,) = panels()
    shown = ax.pcolormesh(
        axes[0].numpy(), axes[1].numpy(), surface.numpy(), cmap="RdBu", vmin=0, vmax=1, shading="auto"
    )
    figure.colorbar(shown, ax=ax, label="D(x), the probability of real")
    ax.plot(*real.T.numpy(), ".", ms=1.5, color="black", label="held-out data")
    ax.plot(*fake.cpu().T.numpy(), ".", ms=1.5, color="gold", label="samples")
    ax.set(
        title=title,
        aspect="equal",
        xlim=(float(low[0]), float(high[0])),
        ylim=(float(low[1]), float(high[1])),
    )
    ax.legend(loc="upper right", markerscale=5, fontsize=8)
    return render(figure)
