"""Images of 12 or 16 bits a channel, without the loss that Pillow's conversion to 8 bits brings."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

WHITE = 65535  # of 16 bits
DEPTHS = (8, 10, 12, 14, 16)  # bits that the data of a 16-bit file may use
# Tags of TIFF, and values of theirs
BITS, COMPRESSION, PHOTOMETRIC, PLANES = 258, 259, 262, 284
UNCOMPRESSED, WHITE_IS_ZERO, SEPARATE = 1, 0, 2


class ImageError(Exception):
    """The reason why an image is refused."""


class LevelError(Exception):
    """A level above white.

    Attributes:
        level: That level.
    """

    def __init__(self, level: int):
        super().__init__(level)
        self.level = level


class DeepImage(NamedTuple):
    """A decoded image of more than 8 bits a channel.

    Attributes:
        mode: L, LA, RGB, RGBA or CMYK.
        channels: The levels of each channel, uint16 [H, W].
        white: The level that the file declares as white, 4095 or 65535.
        is_inverted: Whether 0 is white instead.
        clear: The levels of a transparent pixel, if the file declares any.
    """

    mode: str
    channels: list[np.ndarray]
    white: int = WHITE
    is_inverted: bool = False
    clear: tuple[int, ...] = ()

    @property
    def level(self) -> int:
        """The largest level, transparency aside."""
        return max(int(channel.max()) for channel in self._colours())

    def narrow(self, depth: int) -> Image.Image:
        """Return the image with 8 bits a channel; its data use ``depth`` bits of 16, its alpha all.

        Raises:
            LevelError: When they use more.
        """
        white = 2**depth - 1 if self.white == WHITE else self.white
        if self.level > white:
            raise LevelError(self.level)
        bands = [_scale(channel, white, self.is_inverted) for channel in self._colours()]
        bands += [_scale(channel, WHITE, False) for channel in self.channels[len(bands) :]]
        image = Image.merge(self.mode, bands) if len(bands) > 1 else bands[0]
        if self.clear:
            is_clear = np.all(
                [c == level for c, level in zip(self.channels, self.clear, strict=True)], axis=0
            )
            image.putalpha(Image.fromarray(np.where(is_clear, 0, 255).astype(np.uint8)))
        return image

    def _colours(self) -> list[np.ndarray]:
        return self.channels[:-1] if self.mode in ("LA", "RGBA") else self.channels


def fitting_depth(level: int) -> int:
    """Return the smallest depth that holds a level of 16 bits."""
    return next(depth for depth in DEPTHS if level < 2**depth)


def deep_mode(image: Image.Image) -> str | None:
    """Return the mode of an opened image that has more than 8 bits a channel, L, LA, RGB, RGBA or CMYK; else None.

    Of a TIFF with compressed planes only the high bytes can be had, so that it counts as one of 8 bits.

    Raises:
        ImageError: For a TIFF with uncompressed planes of 16 bits, which Pillow takes for planes of 8.
    """
    if image.mode.startswith("I;16"):
        return "L"
    tags = getattr(image, "tag_v2", {})
    bits, planes, compression = (np.ravel(tags.get(tag, 1))[0] for tag in (BITS, PLANES, COMPRESSION))
    if planes == SEPARATE:
        if bits == 16 and compression == UNCOMPRESSED:
            raise ImageError("holds uncompressed planes of 16 bits, which cannot be read")
        return None
    kind, _, order = _rawmode(image).rpartition(";16")
    if not order or kind not in ("LA", "RGB", "RGBX", "RGBA", "CMYK"):
        return None
    return "RGB" if kind == "RGBX" else kind


def decode_deep(
    image: Image.Image, mode: str, reopen: Callable[[], Image.Image], load: Callable[[Image.Image], object]
) -> DeepImage:
    """Decode an opened image.

    Args:
        image: It, not yet decoded.
        mode: Its mode by ``deep_mode``.
        reopen: Opens it once more.
        load: Decodes and turns an opened image.
    """
    if mode == "L":
        load(image)
        channels = [np.asarray(image)]
    elif mode == "LA":  # each channel as its high and its low byte
        _set_rawmode(image, "RGBA")
        load(image)
        channels = _join_bytes(image.split()[::2], image.split()[1::2])
    else:  # Pillow keeps the high bytes; with the other byte order it takes the low ones for those
        low = reopen()
        kind, order = _rawmode(low)[:-1], _rawmode(low)[-1]
        is_little = order == "L" or (order == "N" and sys.byteorder == "little")
        _set_rawmode(low, kind + ("B" if is_little else "L"))
        load(image)
        load(low)
        channels = _join_bytes(image.split(), low.split())
    tags = getattr(image, "tag_v2", {})
    white = 2 ** int(np.ravel(tags.get(BITS, 16))[0]) - 1
    clear = image.info.get("transparency")
    levels = () if clear is None else tuple(np.ravel(clear).tolist())
    return DeepImage(mode, channels, white, tags.get(PHOTOMETRIC) == WHITE_IS_ZERO, levels)


def _rawmode(image: Any) -> str:
    """Return the layout of an opened image's samples in its file, in Pillow's words."""
    args = image.tile[0].args if image.tile else ""
    return str(args[0] if isinstance(args, tuple) else args)


def _set_rawmode(image: Any, rawmode: str) -> None:
    image.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in image.tile
    ]


def _join_bytes(high: tuple[Image.Image, ...], low: tuple[Image.Image, ...]) -> list[np.ndarray]:
    """Return channels uint16 [H, W] from the bytes of each."""
    return [np.asarray(h).astype(np.uint16) << 8 | np.asarray(v) for h, v in zip(high, low, strict=True)]


def _scale(channel: np.ndarray, white: int, is_inverted: bool) -> Image.Image:
    """Return levels uint16 [H, W] as an image of mode L."""
    # Rounded division by white / 255, in integers
    table = ((np.arange(white + 1) * 255 + white // 2) // white).astype(np.uint8)
    grey = np.empty(channel.shape, np.uint8)
    for row, levels in zip(grey, channel, strict=True):  # an index takes eight bytes a level
        row[:] = table[levels]
    return Image.fromarray(255 - grey if is_inverted else grey)
