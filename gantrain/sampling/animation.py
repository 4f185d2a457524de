"""Animations of samples: grids of images or points in the plane, as GIF, APNG or single PNGs."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gantrain.core.atomic import replacement, replacement_folder
from gantrain.core.figures import panels
from gantrain.sampling.images import grid

FRAME_MS = 40  # milliseconds a frame; a GIF counts in hundredths of a second


def grids(frames: Iterable[Tensor]) -> Iterator[Image.Image]:
    """Yield each frame's images [N, C, H, W] in [-1, 1] as a roughly square grid."""
    return (grid(x, math.isqrt(len(x) - 1) + 1) for x in frames)  # columns: the root of N, rounded up


def clouds(frames: Iterable[Tensor], y: Tensor | None) -> Iterator[Image.Image]:
    """Yield a scatter plot of each frame's points [N, 2], all with the same axes, which cover 99 % of the points.

    Args:
        frames: The points.
        y: Their classes [N], shown as colours, or None.
    """
    frames = list(frames)
    low, high = np.quantile(torch.cat(frames).numpy(), (0.005, 0.995), axis=0)
    margin = 0.2 * float((high - low).max()) or 1.0  # 1 if all are one point
    figure, (ax,) = panels()
    ax.set(aspect="equal", xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))
    shade = dict(color="#1f5fa8") if y is None or y.dim() > 1 else dict(c=y.numpy(), cmap="tab10")
    points = ax.scatter(*frames[0].T.numpy(), s=6, **shade)
    figure.canvas.draw()
    figure.set_layout_engine("none")  # laid out once: each layout would move the axes a little
    for x in frames:
        # Only the points change; axes and labels stay.
        points.set_offsets(x.numpy())
        figure.canvas.draw()
        size = figure.canvas.get_width_height()
        yield Image.frombuffer("RGBA", size, figure.canvas.buffer_rgba()).convert("RGB")


def write_animation(out: Path, frames: Iterable[Image.Image]) -> None:
    """Write frames as an endless loop: a .gif of at most 256 colours, a lossless .png or .apng, or a folder of PNGs.

    What was there is replaced when all frames are written. Raises OSError.
    """
    if out.suffix == "" or out.is_dir():
        with replacement_folder(out) as folder:
            for i, frame in enumerate(frames):
                frame.save(folder / f"{i:06d}.png")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = frames
    kind = "GIF" if out.suffix == ".gif" else "PNG"
    with replacement(out) as file:
        first.save(file, kind, save_all=True, append_images=rest, duration=FRAME_MS, loop=0)
