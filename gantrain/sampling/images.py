"""Samples as images: grids, nearest training images, points over D's landscape."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gantrain.core.figures import panels, render
from gantrain.datasets.base import Data, Split
from gantrain.metrics.nearest import nearest

MIN_CELL_PIXELS = 32  # shorter side of each cell of a grid
CORNER, HEIGHT = (0.09, 0.09), 0.84  # of the axes of points, in parts of the figure
EXPONENTS = (-2, 4)  # between which numbers fit into its margins as they are


def encode(image: Image.Image) -> bytes:
    """Return an image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def to_uint8(x: Tensor) -> Tensor:
    """Return images [N, C, H, W] in [-1, 1] as uint8 [N, H, W, C] on the CPU, rounded and clipped."""
    levels = x.detach().float().cpu().add(1).mul(127.5).round().clamp(0, 255)  # 0 to 255
    return levels.to(torch.uint8).permute(0, 2, 3, 1)


def to_image(pixels: np.ndarray) -> Image.Image:
    """Return an image of uint8 pixels [H, W, C], C of 1, 3 or 4."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def grid(x: Tensor, columns: int) -> Image.Image:
    """Lay out images [N, C, H, W] in [-1, 1] row by row; small ones are enlarged by a whole factor."""
    pixels = to_uint8(x).numpy()  # [N, H, W, C]
    count, h, w, c = pixels.shape
    scale = -(-MIN_CELL_PIXELS // min(h, w))  # rounded up, at least 1
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    h, w = h * scale, w * scale
    rows = -(-count // columns)
    # Two black pixels around each cell.
    sheet = np.zeros((rows * (h + 2) + 2, columns * (w + 2) + 2, c), np.uint8)
    for i, cell in enumerate(pixels):
        top, left = (i // columns) * (h + 2) + 2, (i % columns) * (w + 2) + 2
        sheet[top : top + h, left : left + w] = cell
    return to_image(sheet)


def sort_by_condition(x: Tensor, y: Tensor | None) -> Tensor:
    """Return samples sorted by class, or by the first occurrence of their condition."""
    if y is None:
        return x
    if y.dim() == 1:
        return x[torch.argsort(y, stable=True)]
    # Rows of equal numbers get the same rank.
    first: dict[tuple[float, ...], int] = {}
    rank = [first.setdefault(tuple(row), len(first)) for row in y.tolist()]
    return x[torch.argsort(torch.tensor(rank), stable=True)]


def nearest_pairs(x: Tensor, train: Split, columns: int = 8) -> Image.Image:
    """Lay out samples, and below each row their nearest training images; a copied sample equals the one below it."""
    rows = []
    for part in x.cpu().split(columns):
        rows += [part, train.take(nearest(part, train)[1])[0]]
    return grid(torch.cat(rows), columns)


@dataclass(frozen=True)
class Landscape:
    """D's output on the plane, as colours from red for fake to blue for real.

    Attributes:
        D: Points [M, 2] to what is shown of D's output, [M].
        label: What that is, in words.
        limits: Its values in full red and full blue; None for as far as D goes on both sides of ``middle``.
        middle: Its value in white; None for the middle of its values, where no value is chance.
    """

    D: Callable[[Tensor], Tensor]
    label: str
    limits: tuple[float, float] | None = None
    middle: float | None = 0.0

    def range(self, values: Tensor) -> tuple[float, float]:
        """Return the values in full red and full blue for the values on the plane, [M]."""
        if self.limits:
            return self.limits
        # Without the extreme hundredth on either side: far from all data some outputs grow without end.
        values = values[values.isfinite()]
        low, high = torch.quantile(values, torch.tensor([0.01, 0.99])).tolist() if len(values) else (0.0, 0.0)
        middle = (low + high) / 2 if self.middle is None else self.middle
        reach = max(abs(low - middle), abs(high - middle)) or 1.0
        return middle - reach, middle + reach


@torch.inference_mode()
def point_cloud(
    fake: Tensor, data: Data, title: str, label: str = "samples", landscape: Landscape | None = None
) -> Image.Image:
    """Plot samples [N, 2] and held-out data, over D's landscape if there is a D.

    Args:
        fake: Samples.
        data: Two-dimensional points; the held-out ones define the limits of the axes.
        title: Step and estimate; TensorBoard shows images without a caption.
        label: Of the samples in the legend.
        landscape: What is shown of D.
    """
    # Limits: the data with a margin of a quarter, also when all data are one point.
    real, _ = data.holdout.take(torch.arange(min(2000, len(data.holdout))))
    low, high = real.amin(0), real.amax(0)
    margin = 0.25 * float((high - low).max()) or max(1.0, 0.25 * float(real.abs().max()))
    low, high = low - margin, high + margin
    figure, (ax,) = panels(is_fitted=False)
    ax.set_position((*CORNER, 0.7 if landscape else 0.87, HEIGHT))
    if landscape:
        # D on a square grid of points, [side * side] to [y, x].
        side = 120
        axes = [torch.linspace(float(a), float(b), side) for a, b in zip(low, high, strict=True)]
        values = landscape.D(torch.cartesian_prod(*axes)).float().cpu()
        least, most = landscape.range(values)
        surface = values.reshape(side, side).T.numpy()
        mesh = ax.pcolormesh(
            *map(np.asarray, axes), surface, cmap="RdBu", vmin=least, vmax=most, shading="auto"
        )
        ends = "neither" if landscape.limits else "both"
        scale = figure.add_axes((0.82, CORNER[1], 0.03, HEIGHT))
        figure.colorbar(mesh, cax=scale, extend=ends).set_label(landscape.label, fontsize=8)
        scale.ticklabel_format(scilimits=EXPONENTS)
    ax.plot(*real.T.numpy(), ".", ms=1.5, color="black", label="held-out data")
    fake = fake.cpu()
    outside = int(((fake < low) | (fake > high) | fake.isnan()).any(1).sum())
    label += f" ({outside:,} of {len(fake):,} are outside)" if outside else ""
    ax.plot(*fake.T.numpy(), ".", ms=1.5, color="gold", label=label)
    ax.set(
        title=title,
        aspect="equal",
        xlim=(low[0].item(), high[0].item()),
        ylim=(low[1].item(), high[1].item()),
    )
    ax.ticklabel_format(scilimits=EXPONENTS)
    ax.legend(loc="upper right", markerscale=5, fontsize=8)
    return render(figure)
