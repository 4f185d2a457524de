"""Images of 12 or 16 bits a channel, without the loss that Pillow's conversion to 8 bits brings."""

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gantrain.datasets.files.image_bytes import ImageError

WHITE = 65535  # of 16 bits
DEPTHS = (8, 10, 12, 14, 16)  # bits that the data of a 16-bit file may use
ROWS = 16  # that are scaled at once
# Tags of TIFF, and values of theirs
BITS, COMPRESSION, PHOTOMETRIC, PLANES = 258, 259, 262, 284
UNCOMPRESSED, WHITE_IS_ZERO, SEPARATE = 1, 0, 2


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
        parts: One image that holds the levels, or the high bytes and the low bytes of the channels.
        white: The level that the file declares as white, 4095 or 65535.
        is_inverted: Whether 0 is white instead.
        clear: The levels of a transparent pixel, if the file declares any.
    """

    mode: str
    parts: tuple[Image.Image, ...]
    white: int = WHITE
    is_inverted: bool = False
    clear: tuple[int, ...] = ()

    @property
    def level(self) -> int:
        """The largest level, transparency aside."""
        return max(int(levels[:, :, : self._colours].max()) for _, levels in self._bands())

    def narrow(self, depth: int) -> Image.Image:
        """Return the image with 8 bits a channel; its data use ``depth`` bits of 16, its alpha all.

        Raises:
            LevelError: When they use more.
        """
        white = 2**depth - 1 if self.white == WHITE else self.white
        mode = self.mode + ("A" if self.clear else "")
        image = Image.new(mode, self.parts[0].size)
        for top, levels in self._bands():
            rows = self._narrow_band(levels, white)
            image.paste(Image.fromarray(rows if rows.shape[2] > 1 else rows[:, :, 0], mode), (0, top))
        return image

    def _narrow_band(self, levels: np.ndarray, white: int) -> np.ndarray:
        """Return rows of levels uint16 [h, W, C] as uint8, with alpha if a pixel can be clear."""
        colours, alpha = np.split(levels, [self._colours], axis=2)
        if (brightest := int(colours.max())) > white:
            raise LevelError(brightest)
        grey = _scale(colours, white)
        if self.is_inverted:
            grey = 255 - grey
        opaque = _scale(alpha, WHITE)
        if self.clear:
            opaque = 255 * (colours != self.clear).any(axis=2, keepdims=True).astype(np.uint8)
        return np.concatenate([grey, opaque], axis=2)

    @property
    def _colours(self) -> int:
        return {"L": 1, "LA": 1, "CMYK": 4}.get(self.mode, 3)

    def _bands(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield a row's number, and the levels of some rows from there on, uint16 [h, W, C], to bound memory."""
        width, height = self.parts[0].size
        for top in range(0, height, ROWS):
            box = (0, top, width, min(top + ROWS, height))
            first, *rest = (np.asarray(part.crop(box)) for part in self.parts)
            if self.mode == "LA":  # a high and a low byte of grey, then of alpha
                first, *rest = first[:, :, ::2], first[:, :, 1::2]
            levels = first.astype(np.uint16)
            yield top, levels << 8 | rest[0] if rest else levels[:, :, None]


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
    if tags := getattr(image, "tag_v2", {}):
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
    parts = [image]
    if mode == "LA":
        _set_rawmode(image, "RGBA")  # four bytes a pixel, as they are
    elif (
        mode != "L"
    ):  # Pillow keeps the high bytes; with the other byte order it takes the low ones for those
        parts.append(reopen())
        kind, order = _rawmode(image)[:-1], _rawmode(image)[-1]
        is_little = order == "L" or (order == "N" and sys.byteorder == "little")
        _set_rawmode(parts[1], kind + ("B" if is_little else "L"))
    for part in parts:
        load(part)
    tags = getattr(image, "tag_v2", {})
    white = 2 ** int(np.ravel(tags.get(BITS, 16))[0]) - 1
    clear = image.info.get("transparency")
    levels = () if clear is None else tuple(np.ravel(clear).tolist())
    return DeepImage(mode, tuple(parts), white, tags.get(PHOTOMETRIC) == WHITE_IS_ZERO, levels)


def _rawmode(image: Any) -> str:
    """Return the layout of an opened image's samples in its file, in Pillow's words."""
    args = image.tile[0].args if image.tile else ""
    return str(args[0] if isinstance(args, tuple) else args)


def _set_rawmode(image: Any, rawmode: str) -> None:
    image.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in image.tile
    ]


def _scale(levels: np.ndarray, white: int) -> np.ndarray:
    """Return levels uint16 as uint8, where 255 stands for ``white``."""
    # Rounded division by white / 255, in integers
    return ((levels.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
