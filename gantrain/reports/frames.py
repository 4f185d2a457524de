"""The sample grids that a run wrote over training: found, thinned out, resized, animated."""

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from gantrain.core.atomic import replace_file
from gantrain.core.files import read_bytes
from gantrain.core.run_folder import RunFolder
from gantrain.errors import CheckpointError

MAX_FRAMES = 60  # frames of a slider or an animation
FRAME_MS, LAST_FRAME_MS = 120, 1500  # milliseconds of a frame, and of the last one
BUDGET = 5_000_000  # characters of pictures in a page
SIZES = ((720, 60), (540, 60), (540, 30), (360, 24), (240, 12), (160, 2))  # pixels and frames, until they fit
SMALL_PIXELS = 300  # pixels of one run's picture among others
MAX_PICTURE_BYTES, MAX_PIXELS = 2**26, 2**24  # of a picture that a run wrote
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    Image.DecompressionBombError,
)  # Pillow's, for a truncated file


def grid_files(run: Path) -> list[tuple[int, Path]]:
    """Return the step and the file of every picture under ``samples``, in the order of steps."""
    files = sorted((int(path.stem), path) for path in RunFolder(run).pictures if path.stem.isdecimal())
    # The process was killed while it wrote the last one; more that are broken are none of its own.
    return files[:-1] if files and open_image(files[-1][1]) is None else files


def pick_evenly(files: Sequence[tuple[int, Path]], most: int = MAX_FRAMES) -> list[tuple[int, Path]]:
    """Return at most ``most`` of them, evenly spread, the first and the last included."""
    if len(files) <= most:
        return list(files)
    last = len(files) - 1
    return [files[round(i * last / (most - 1))] for i in range(most)] if most > 1 else [files[-1]]


def open_image(path: Path) -> Image.Image | None:
    """Return a picture in RGB, or None for one that is absent, truncated, or not one of gantrain's."""
    try:
        # Of another kind than its name says it could start another program, as Ghostscript for EPS.
        with Image.open(io.BytesIO(read_bytes(path, MAX_PICTURE_BYTES)), formats=["PNG"]) as image:
            return image.convert("RGB") if image.width * image.height <= MAX_PIXELS else None
    except UNREADABLE:
        return None


def read_images(files: Sequence[tuple[int, Path]]) -> Iterator[tuple[int, Image.Image]]:
    """Yield the images that can be read, with their steps."""
    for step, path in files:
        if image := open_image(path):
            yield step, image


def last_image(run: Path) -> Image.Image | None:
    """Return the latest picture of a run that can be read."""
    files = grid_files(run)
    return open_image(files[-1][1]) if files else None


def resize(image: Image.Image, side: int) -> Image.Image:
    """Return a picture with sides of at most ``side`` pixels; one that is far smaller is enlarged by whole pixels."""
    whole = side // max(image.size)
    if whole >= 2:
        return image.resize((image.width * whole, image.height * whole), Image.Resampling.NEAREST)
    scale = min(1.0, side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if scale == 1 else image.resize(size, Image.Resampling.LANCZOS)


def embed_frames(runs: Sequence[Path], budget: int = BUDGET) -> list[list[tuple[int, str]]]:
    """Return each run's pictures with their steps, fewer and smaller until all fit in ``budget`` characters."""
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
    """Write a run's pictures as an animated ``.gif`` or ``.png``, and return the number of frames.

    Raises:
        CheckpointError: When the run has no picture that can be read.
        OSError: When the file cannot be written.
    """
    images = [image for _, image in read_images(pick_evenly(grid_files(run)))]
    if not images:
        remedy = "train with train.sample_every=100, say"
        raise CheckpointError(RunFolder(run).samples, "holds no pictures", remedy)
    # A run resumed with another layout has pictures of two sizes; an animation has one.
    size = (max(image.width for image in images), max(image.height for image in images))
    frames = [Image.new("RGB", size, "white") for _ in images]
    for frame, image in zip(frames, images, strict=True):
        frame.paste(image)
    kind = "GIF" if out.suffix.lower() == ".gif" else "PNG"
    if kind == "GIF":
        frames = [frame.quantize(256, dither=Image.Dither.NONE) for frame in frames]
    times = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=times, loop=0)
    replace_file(out, buffer.getvalue())
    return len(frames)
