"""One image file as pixels, by rules that do not depend on its file format.

The rules, in their order:

- The file's content decides its format, not its suffix: PNG, JPEG, WebP, BMP, GIF or TIFF, and no other. An image
  that is truncated, fails a checksum, declares too many pixels, or is one pixel wide or high is refused.
- The first frame of an animation, and the first page of a TIFF.
- Its EXIF orientation is applied. Colour profiles (ICC) are ignored.
- 1-bit is 0 and 255. 16-bit grey is divided by 257 and rounded; 12-bit likewise. 32-bit and floating-point images,
  whose range the file does not state, are refused. A palette is replaced by its colours. CMYK,
  YCbCr, Lab and HSV become RGB by Pillow's formulas, without colour management.
- For 1 or 3 channels, transparent pixels are composited over a grey background. For 4, alpha is kept, an image
  without it is opaque, and pixels of alpha 0 get the background as their colour.
- Grey is ITU-R 601-2 luma; grey as colour is three equal channels.
- The largest centred crop of the target's aspect ratio is resized by Pillow's Lanczos filter with antialiasing: the
  shorter side is scaled and the longer one cropped. With alpha, colours are weighted by it. An image of the target
  size is unchanged.
"""

import threading
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin  # noqa: F401  (else Pillow loads all its formats)

from gantrain.errors import DataError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MAX_PIXELS = 178_956_970  # Pillow's own limit
REMEDY = "fix or remove it, or set dataset.bad_files=skip"
BITS, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # tags of TIFF
SERIAL_PIXELS = 16_000_000  # larger images are decoded one at a time, to bound memory
_serial = threading.Lock()


@dataclass(frozen=True)
class Target:
    """What every image of a dataset becomes.

    Attributes:
        channels: 1 (grey), 3 (colour) or 4 (colour and alpha).
        size: Height and width in pixels.
        background: The grey under transparent pixels, 0..255.
        max_pixels: The most that a file may declare, up to 178,956,970.
    """

    channels: int
    size: tuple[int, int]
    background: int = 0
    max_pixels: int = 64_000_000


def read(path: str, target: Target) -> np.ndarray:
    """Return an image by the rules of this module, uint8 [channels, H, W].

    Raises:
        DataError: When the file cannot be read as an image.
    """
    try:
        with open(path, "rb") as file:
            return _read(file, target)
    except _InvalidImage as error:
        raise DataError(path, error, REMEDY) from error
    except UnidentifiedImageError as error:
        raise DataError(path, "is not a PNG, JPEG, WebP, BMP, GIF or TIFF image", REMEDY) from error
    except Image.DecompressionBombError as error:
        raise DataError(path, f"declares more than {MAX_PIXELS} pixels", REMEDY) from error
    except Exception as error:  # Pillow raises many kinds for a damaged file
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(path, f"cannot be read ({' '.join(why.split())})", REMEDY) from error


class _InvalidImage(Exception):
    """The reason why an image is refused."""


def _read(file: BinaryIO, target: Target) -> np.ndarray:
    if not file.read(1):
        raise _InvalidImage("is empty")
    # The header alone decides whether the pixels are decoded at all.
    image = _open(file)
    pixels, size_text = image.width * image.height, f"{image.width} x {image.height} pixels"
    if pixels > target.max_pixels:
        raise _InvalidImage(f"declares {size_text}, more than dataset.max_pixels={target.max_pixels}")
    if min(image.size) < 2:
        raise _InvalidImage(f"is {size_text}, too few to scale")
    if image.format == "PNG":
        image.verify()  # checksums, which load() skips; the image must be opened again after it
        image = _open(file)
    with _serial if pixels > SERIAL_PIXELS else nullcontext():
        image.load()
        with suppress(Exception):  # damaged EXIF is ignored
            ImageOps.exif_transpose(image, in_place=True)
        return _crop_and_resize(_convert(image, target.channels, target.background), target)


def _open(file: BinaryIO) -> Image.Image:
    file.seek(0)
    return Image.open(file, formats=FORMATS)


def _convert(image: Image.Image, channels: int, background: int) -> Image.Image:
    """Return a loaded image with 1, 3 or 4 channels: mode L, RGB or RGBA."""
    if image.mode.startswith("I;16"):
        image = _eight_bits(image)
    elif image.mode in ("I", "F"):
        kind = "32-bit numbers" if image.mode == "I" else "floating point numbers"
        raise _InvalidImage(f"holds {kind}, whose range it does not state")
    elif image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.mode in ("La", "RGBa") else "RGB")
    if channels == 4:
        return image.convert("RGBA")
    mode = "L" if channels == 1 else "RGB"
    if not image.has_transparency_data:
        return image.convert(mode)
    # Composite over the background, by alpha.
    image = image.convert("RGBA")
    sheet = Image.new(mode, image.size, background if mode == "L" else (background,) * 3)
    sheet.paste(image.convert(mode), mask=image.getchannel("A"))
    return sheet


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return 12- or 16-bit grey as L or LA; Pillow's own conversion clips at 255."""
    values = np.asarray(image).astype(np.uint32)
    tags = getattr(image, "tag_v2", {})
    top = 2 ** int(np.ravel(tags.get(BITS, 16))[0]) - 1  # 4095 or 65535
    # Rounded division by top / 255, in integers
    grey = (values * 255 + top // 2) // top
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    eight = Image.fromarray(grey.astype(np.uint8))
    transparent = image.info.get("transparency")
    if transparent is not None:
        eight.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return eight


def _crop_and_resize(image: Image.Image, target: Target) -> np.ndarray:
    """Return the centred crop of the target's aspect ratio at its size, uint8 [C, H, W]."""
    height, width = target.size
    scale = min(image.width / width, image.height / height)
    w, h = width * scale, height * scale
    left, top = (image.width - w) / 2, (image.height - h) / 2
    box = (left, top, min(left + w, image.width), min(top + h, image.height))
    # Resizing from a box of the source never makes more pixels than the target has.
    pixels = np.array(image.resize((width, height), Image.Resampling.LANCZOS, box))
    if image.mode == "RGBA":
        pixels[pixels[:, :, 3] == 0, :3] = target.background
    # Grey [H, W] to [1, H, W]; colour [H, W, C] to [C, H, W]
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
