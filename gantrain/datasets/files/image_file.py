"""One picture file as pixels, by rules that do not depend on how it was stored.

The rules, in their order:

- The file's content decides what it is, not its suffix: PNG, JPEG, WebP, BMP, GIF or TIFF, and nothing else is
  tried. A picture that is cut short, fails a check sum, declares too many pixels, or is one pixel wide or high is
  refused.
- The first frame of an animation, and the first page of a TIFF.
- Turned as its EXIF orientation says. Colour profiles (ICC) are ignored.
- 1-bit is 0 and 255. 16-bit grey is divided by 257 and rounded; 12-bit likewise. 32-bit and floating point numbers,
  whose range the file does not state, are refused. A palette gives its colours. CMYK, YCbCr, Lab and HSV become RGB by
  Pillow's formulas, without colour management.
- For 1 or 3 channels, whatever is transparent lies over a grey background. For 4, alpha is kept, a picture without it
  is opaque, and the colour under alpha 0, which nobody can see, is the background.
- Grey is ITU-R 601-2 luma; grey as colour is three equal channels.
- The largest centred part of the wanted proportions is scaled to the wanted size by Pillow's Lanczos filter, which
  widens when it shrinks (antialiasing): the shorter side is scaled and the longer one cropped. With alpha, colours
  are weighted by it. A picture of the wanted size is left as it is.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin  # noqa: F401  (else all are loaded)

from gantrain.errors import DataError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MOST_PIXELS = 178_956_970  # beyond this Pillow itself refuses a picture
MEND = "mend or remove it, or set dataset.bad_files=skip"
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BITS, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # of TIFF
LARGE = 16_000_000  # threads decode pictures of more pixels one after another, for the memory
_one_large = threading.Lock()


def read(
    path: str, channels: int, size: tuple[int, int], background: int = 0, max_pixels: int = 64_000_000
) -> np.ndarray:
    """Return a picture by the rules of this module, uint8 [channels, H, W].

    Args:
        path: The file.
        channels: 1 (grey), 3 (colour) or 4 (colour and alpha).
        size: Height and width of the result in pixels.
        background: The grey that lies under transparency, 0..255.
        max_pixels: How many the file may declare, at most 178,956,970.

    Raises:
        DataError: Naming the file, for whatever cannot be read as a picture.
    """
    try:
        with open(path, "rb") as file:
            return _read(file, channels, size, background, max_pixels)
    except _Refused as error:
        raise DataError(path, error, MEND) from error
    except UnidentifiedImageError as error:
        raise DataError(path, "is not a PNG, JPEG, WebP, BMP, GIF or TIFF picture", MEND) from error
    except Image.DecompressionBombError as error:
        raise DataError(path, f"declares more than {MOST_PIXELS} pixels", MEND) from error
    except Exception as error:  # of a damaged file Pillow's readers raise whatever they stumble on
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(path, f"cannot be read ({' '.join(why.split())})", MEND) from error


class _Refused(Exception):
    """What is wrong with a picture that could be opened."""


def _read(
    file: BinaryIO, channels: int, size: tuple[int, int], background: int, max_pixels: int
) -> np.ndarray:
    if not file.read(1):
        raise _Refused("is empty")
    image = _open(file)
    pixels = image.width * image.height
    if pixels > max_pixels:
        declared = f"{image.width} x {image.height} pixels"
        raise _Refused(f"declares {declared}, more than dataset.max_pixels={max_pixels}")
    if min(image.size) < 2:
        raise _Refused(f"is {image.width} x {image.height} pixels, too few to scale")
    if image.format == "PNG":
        image.verify()  # the check sums, which loading passes over; it leaves nothing to load
        image = _open(file)
    with _one_large if pixels > LARGE else nullcontext():
        image.load()
        turn = TURNS.get(_orientation(image))
        shown = _shown(image, channels, background)
        if turn is not None:
            shown = shown.transpose(turn)
        return _scaled(shown, size, background)


def _open(file: BinaryIO) -> Image.Image:
    file.seek(0)
    return Image.open(file, formats=FORMATS)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # damaged EXIF says nothing of the picture
        return 1


def _shown(image: Image.Image, channels: int, background: int) -> Image.Image:
    """Return a loaded picture in the mode of so many channels: L, RGB or RGBA."""
    if image.mode.startswith("I;16"):
        image = _eight_bits(image)
    elif image.mode in ("I", "F"):
        kind = "32-bit numbers" if image.mode == "I" else "floating point numbers"
        raise _Refused(f"holds {kind}, whose range it does not state")
    elif image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.mode in ("La", "RGBa") else "RGB")
    if channels == 4:
        return image.convert("RGBA")
    mode = "L" if channels == 1 else "RGB"
    if not image.has_transparency_data:
        return image.convert(mode)
    image = image.convert("RGBA")
    sheet = Image.new(mode, image.size, background if mode == "L" else (background,) * 3)
    sheet.paste(image.convert(mode), mask=image.getchannel("A"))
    return sheet


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return 12- or 16-bit grey as L or LA; Pillow's own conversion would cut everything off at 255."""
    values = np.asarray(image).astype(np.uint32)
    tags = getattr(image, "tag_v2", {})
    top = 2 ** int(np.ravel(tags.get(BITS, 16))[0]) - 1
    grey = (values * 255 + top // 2) // top
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    eight = Image.fromarray(grey.astype(np.uint8))
    clear = image.info.get("transparency")
    if clear is not None:
        eight.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return eight


def _scaled(image: Image.Image, size: tuple[int, int], background: int) -> np.ndarray:
    """Return the centred part of the wanted proportions at the wanted size, uint8 [C, H, W]."""
    height, width = size
    scale = min(image.width / width, image.height / height)
    w, h = width * scale, height * scale
    left, top = (image.width - w) / 2, (image.height - h) / 2
    box = (left, top, min(left + w, image.width), min(top + h, image.height))
    # A box in the source, rather than a crop of the scaled picture, never makes more pixels than are wanted.
    pixels = np.array(image.resize((width, height), Image.Resampling.LANCZOS, box))
    if image.mode == "RGBA":
        pixels[pixels[:, :, 3] == 0, :3] = background
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
