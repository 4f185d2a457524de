"""One image file as pixels, by rules that do not depend on its file format.

The rules, in their order:

- The file's content decides its format, not its suffix: PNG, JPEG, WebP, BMP, GIF or TIFF, and no other. An image
  that is truncated, fails a checksum, declares too many pixels, or is one pixel wide or high is refused. Texts are
  ignored, of any length.
- The first frame of an animation, the default image of an APNG, the first page of a TIFF.
- Its EXIF orientation is applied. Colour profiles (ICC) are ignored.
- 1-bit is 0 and 255. 16 bits a channel are divided by 257 and rounded, or by (2^depth - 1) / 255 where the data use
  fewer bits; a level above 2^depth - 1 is refused. 12-bit TIFFs state their depth. Signed, 32-bit and floating-point
  images, whose range the file does not state, are refused. A palette is replaced by its colours. CMYK, YCbCr, Lab
  and HSV become RGB by Pillow's formulas, without colour management.
- For 1 or 3 channels, transparent pixels are composited over a grey background. For 4, alpha is kept, an image
  without it is opaque, and pixels of alpha 0 get the background as their colour.
- Grey is ITU-R 601-2 luma; grey as colour is three equal channels.
- The size is reached by Pillow's Lanczos filter with antialiasing. With fit=cover the largest centred crop of the
  target's aspect ratio fills it; with fit=contain the whole image lies in the middle of the background, which is
  transparent for 4 channels. With alpha, colours are weighted by it. An image of the target size is unchanged.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin  # noqa: F401  (else Pillow loads all its formats)

from gantrain.datasets.files.image_bytes import ImageError, check_bounds, open_file, skip_text
from gantrain.datasets.files.image_depth import WHITE, LevelError, decode_deep, deep_mode, fitting_depth
from gantrain.datasets.files.libtiff import libtiff_errors
from gantrain.errors import ConfigError, DataError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MAX_PIXELS = 178_956_970  # Pillow's own limit
REMEDY = "fix or remove it, or set dataset.bad_files=skip"
SERIAL_PIXELS = 16_000_000  # larger images are decoded one at a time, to bound memory
TILE_WIDTH, TILE_HEIGHT = 322, 323  # tags of TIFF
_serial = threading.Lock()
Opener = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Target:
    """What every image of a dataset becomes.

    Attributes:
        channels: 1 (grey), 3 (colour) or 4 (colour and alpha).
        size: Height and width in pixels.
        background: The grey under transparent pixels and around a contained image, 0..255.
        fit: Whether an image of another aspect ratio is cropped, cover, or padded, contain.
        depth: The bits that the data of 16-bit files use.
        max_pixels: The most that a file may declare, up to 178,956,970.
    """

    channels: int
    size: tuple[int, int]
    background: int = 0
    fit: str = "cover"
    depth: int = 16
    max_pixels: int = 64_000_000


class Picture(NamedTuple):
    """What a file became.

    Attributes:
        pixels: Shape [channels, H, W], uint8.
        is_composited: Whether transparent pixels lie over the background.
    """

    pixels: np.ndarray
    is_composited: bool


def read(path: str, target: Target, opener: Opener | None = None) -> Picture:
    """Return an image by the rules of this module.

    Args:
        path: The file, or where it lies in an archive.
        target: What it becomes.
        opener: Opens it; by default the file at that path is opened.

    Raises:
        DataError: When the file cannot be read as an image.
        ConfigError: When it has levels that the target's depth does not hold.
    """
    with image_errors(path, target.depth), open_path(path, opener) as file:
        return _read(file, target)


@contextmanager
def image_errors(path: str, depth: int = 16) -> Iterator[None]:
    """Raise what reading an image raises as ``read`` does."""
    try:
        yield
    except ImageError as error:
        raise DataError(path, error, REMEDY) from error
    except LevelError as error:
        what = f"{path} has level {error.level}, more than {depth} bits hold"
        raise ConfigError("dataset.depth", what, f"set dataset.depth={fitting_depth(error.level)}") from error
    except UnidentifiedImageError as error:
        what = "is not a PNG, JPEG, WebP, BMP, GIF or TIFF image that can be read"
        raise DataError(path, what, REMEDY) from error
    except Image.DecompressionBombError as error:
        raise DataError(path, f"declares more than {MAX_PIXELS} pixels", REMEDY) from error
    except Exception as error:  # Pillow raises many kinds for a damaged file
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(path, f"cannot be read ({' '.join(why.split())})", REMEDY) from error


def largest_level(path: str, max_pixels: int, opener: Opener | None = None) -> int | None:
    """Return the largest level of a file of 16 bits a channel; None for another one, or one that cannot be read."""

    def level(file: BinaryIO) -> int | None:
        image = open_image(file)
        if image.width * image.height > max_pixels or not (mode := deep_mode(image)):
            return None
        deep = decode_deep(image, mode, lambda: open_image(file), _load)
        return deep.level if deep.white == WHITE else None

    with suppress(Exception), open_path(path, opener) as file:
        return skip_text(level, file)
    return None


def open_path(path: str, opener: Opener | None) -> BinaryIO:
    """Return a file to read, by its opener if there is one."""
    return opener() if opener else open_file(path)


def _read(file: BinaryIO, target: Target) -> Picture:
    check_bounds(file, target.max_pixels)
    return skip_text(lambda file: _decode(file, target), file)


def _decode(file: BinaryIO, target: Target) -> Picture:
    # The header alone decides whether the pixels are decoded at all.
    image = open_image(file)
    tags = getattr(image, "tag_v2", {})
    tile = (tags.get(TILE_WIDTH, 0), tags.get(TILE_HEIGHT, 0))  # of a TIFF, decoded whole
    width, height = max(image.size, tile, key=math.prod)
    pixels, size_text = width * height, f"{width} x {height} pixels"
    if pixels > target.max_pixels:
        raise ImageError(f"declares {size_text}, more than dataset.max_pixels={target.max_pixels}")
    if min(image.size) < 2:
        raise ImageError(f"is {size_text}, too few to scale")
    if image.format == "PNG":
        image.verify()  # checksums, which load() skips; the image must be opened again after it
        image = open_image(file)
    with _serial if pixels > SERIAL_PIXELS else nullcontext():
        if mode := deep_mode(image):
            image = decode_deep(image, mode, lambda: open_image(file), _load).narrow(target.depth)
        else:
            _load(image)
        return fit(image, target)


def fit(image: Image.Image, target: Target) -> Picture:
    """Return a loaded image with the channels and the size of the target."""
    converted, is_composited = _convert(image, target.channels, target.background)
    return Picture(_resize(converted, target), is_composited)


def open_image(file: BinaryIO) -> Image.Image:
    """Return an image of which nothing but the header is read."""
    file.seek(0)
    return Image.open(file, formats=FORMATS)


def _load(image: Image.Image) -> None:
    """Decode an opened image, and turn it as its EXIF says."""
    with libtiff_errors() as errors:
        try:
            image.load()
        except OSError as error:
            raise ImageError(f"cannot be read ({errors[0] if errors else error})") from error
    if errors:  # damage that libtiff skips
        raise ImageError(f"cannot be read ({errors[0]})")
    with suppress(Exception):  # damaged EXIF is ignored
        ImageOps.exif_transpose(image, in_place=True)


def _convert(image: Image.Image, channels: int, background: int) -> tuple[Image.Image, bool]:
    """Return a loaded image with 1, 3 or 4 channels, mode L, RGB or RGBA, and whether the background shows in it."""
    if image.mode in ("I", "F"):
        kind = "signed or 32-bit numbers" if image.mode == "I" else "floating point numbers"
        raise ImageError(f"holds {kind}, whose range it does not state")
    elif image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.mode in ("La", "RGBa") else "RGB")
    if channels == 4:
        return image.convert("RGBA"), False
    mode = "L" if channels == 1 else "RGB"
    if not image.has_transparency_data:
        return image.convert(mode), False
    # Composite over the background, by alpha.
    image = image.convert("RGBA")
    sheet = Image.new(mode, image.size, _sheet_colour(mode, background))
    alpha = image.getchannel("A")
    sheet.paste(image.convert(mode), mask=alpha)
    return sheet, alpha.getextrema() != (255, 255)


def _resize(image: Image.Image, target: Target) -> np.ndarray:
    """Return the image at the target's size, uint8 [C, H, W]."""
    fitted = _contain(image, target) if target.fit == "contain" else _cover(image, target)
    pixels = np.array(fitted)
    if image.mode == "RGBA":
        pixels[pixels[:, :, 3] == 0, :3] = target.background
    # Grey [H, W] to [1, H, W]; colour [H, W, C] to [C, H, W]
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _cover(image: Image.Image, target: Target) -> Image.Image:
    """Return the largest centred crop of the target's aspect ratio at its size."""
    height, width = target.size
    scale = min(image.width / width, image.height / height)
    w, h = width * scale, height * scale
    left, top = (
        max(0, (image.width - w) / 2),
        max(0, (image.height - h) / 2),
    )  # rounding can make one negative
    box = (left, top, min(left + w, image.width), min(top + h, image.height))
    # Resizing from a box of the source never makes more pixels than the target has.
    return image.resize((width, height), Image.Resampling.LANCZOS, box)


def _contain(image: Image.Image, target: Target) -> Image.Image:
    """Return the whole image within the target's size, with equal margins on both sides."""
    height, width = target.size
    scale = max(image.width / width, image.height / height)
    w, h = max(1, round(image.width / scale)), max(1, round(image.height / scale))
    sheet = Image.new(image.mode, (width, height), _sheet_colour(image.mode, target.background))
    sheet.paste(image.resize((w, h), Image.Resampling.LANCZOS), ((width - w) // 2, (height - h) // 2))
    return sheet


def _sheet_colour(mode: str, background: int) -> tuple[int, ...]:
    """Return the background as a colour of mode L, RGB or RGBA, transparent where that can be."""
    return {"L": (background,), "RGB": (background,) * 3, "RGBA": (background,) * 3 + (0,)}[mode]
