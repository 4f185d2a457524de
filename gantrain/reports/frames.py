"""The pictures that a run drew while it trained: found, thinned out, resized, animated."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from gantrain.core.files import replace_file
from gantrain.core.run_folder import RunFolder
from gantrain.errors import CheckpointError

MAX_FRAMES = 60  # frames of a slider or an animation
FRAME_MS, LAST_FRAME_MS = 120, 1500  # milliseconds of a frame, and of the last one
BUDGET = 5_000_000  # characters of pictures in a page
SIZES = ((720, 60), (540, 60), (540, 30), (360, 24), (240, 12), (160, 2))  # pixels and frames, until they fit
SMALL_PIXELS = 300  # pixels of one run's picture among others
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    Image.DecompressionBombError,
)  # what Pillow raises for a cut file


def grid_files(run: Path) -> list[tuple[int, Path]]:
    """Return the step and the file of every picture under ``samples``, in the order of steps."""
    files = RunFolder(run).pictures
    found = sorted((int(path.stem), path) for path in files if path.stem.isdecimal())
    while found and open_image(found[-1][1]) is None:  # a process that was killed while it wrote
        found.pop()
    return found


def pick_evenly(found: Sequence[tuple[int, Path]], most: int = MAX_FRAMES) -> list[tuple[int, Path]]:
    """Return at most so many of them, evenly spread, the first and the last among them."""
    if len(found) <= most:
        return list(found)
    last = len(found) - 1
    return [found[round(i * last / max(most - 1, 1))] for i in range(most)] if most > 1 else [found[-1]]


def open_image(path: Path) -> Image.Image | None:
    """Return a picture in RGB, or None where it is absent or cut short."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except UNREADABLE:
        return None


def read_images(found: Sequence[tuple[int, Path]]) -> Iterator[tuple[int, Image.Image]]:
    """Yield the images that can be read, with their steps."""
    for step, path in found:
        image = open_image(path)
        if image is not None:
            yield step, image


def last_image(run: Path) -> Image.Image | None:
    """Return the latest picture of a run that can be read."""
    found = grid_files(run)
    return open_image(found[-1][1]) if found else None


def resize(image: Image.Image, side: int) -> Image.Image:
    """Return a picture with sides of at most ``side`` pixels; one that is far smaller is enlarged by whole pixels."""
    whole = side // max(image.size)
    if whole >= 2:
        return image.resize((image.width * whole, image.height * whole), Image.Resampling.NEAREST)
    scale = min(1.0, side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if scale == 1 else image.resize(size, Image.Resampling.LANCZOS)


def embed_frames(runs: Sequence[Path], budget: int = BUDGET) -> list[list[tuple[int, str]]]:
    """Return the pictures of each run with their steps, thinned out and made small until a page can carry them.

    Args:
        runs: Their folders.
        budget: The number of characters that all pictures together may have.
    """
    for side, most in SIZES:
        if len(runs) > 1:
            side, most = min(side, SMALL_PIXELS), max(2, min(most, 240 // len(runs)))
        frames = _frames_within([pick_evenly(grid_files(run), most) for run in runs], side, budget)
        if frames is not None:
            return frames
    return [[] for _ in runs]


def _frames_within(
    found: Sequence[Sequence[tuple[int, Path]]], side: int, budget: int
) -> list[list[tuple[int, str]]] | None:
    frames: list[list[tuple[int, str]]] = [[] for _ in found]
    for files, own in zip(found, frames, strict=True):
        for step, image in read_images(files):
            own.append((step, data_url(resize(image, side))))
            budget -= len(own[-1][1])
            if budget < 0:
                return None
    return frames


def data_url(image: Image.Image, quality: int = 80) -> str:
    """Return a picture as a ``data:`` address, in WebP."""
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def write_animation(run: Path, out: Path) -> int:
    """Write a run's pictures over training as an animated GIF or PNG, as the name says.

    Args:
        run: The run's folder.
        out: A name that ends in ``.gif`` or ``.png``.

    Returns:
        The number of frames.

    Raises:
        CheckpointError: When the run has no picture that can be read.
        OSError: When the file cannot be written.
    """
    shots = [image for _, image in read_images(pick_evenly(grid_files(run)))]
    if not shots:
        raise CheckpointError(
            RunFolder(run).samples, "holds no pictures", "train with train.sample_every=100, say"
        )
    # A run that went on with another layout has pictures of two sizes; a file has one.
    size = (max(image.width for image in shots), max(image.height for image in shots))
    frames = [_on_sheet(image, size) for image in shots]
    if out.suffix.lower() == ".gif":
        frames = [frame.quantize(256, dither=Image.Dither.NONE) for frame in frames]
    times = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format="GIF" if out.suffix.lower() == ".gif" else "PNG",
        save_all=True,
        append_images=frames[1:],
        duration=times,
        loop=0,
    )
    replace_file(out, buffer.getvalue())
    return len(frames)


def _on_sheet(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.size == size:
        return image
    sheet = Image.new("RGB", size, "white")
    sheet.paste(image)
    return sheet
