"""Picture files written by hand, for what no library writes."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def noise(*shape: int, top: int = 256, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, top, shape).astype(dtype)


def png(pixels: np.ndarray, **how: object) -> bytes:
    return saved(Image.fromarray(pixels), "PNG", **how)


def saved(image: Image.Image, kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def sixteen(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint16))


def chunked(
    width: int, height: int, depth: int, colour: int, rows: bytes, *more: tuple[bytes, bytes]
) -> bytes:
    """A PNG: header, other chunks, rows of filter byte and samples."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    parts = [header, *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png16(values: np.ndarray, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG of levels [H, W, C] of 16 bits: grey, grey and alpha, RGB or RGBA."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return chunked(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows, *more)


def tiff(
    strips: list[bytes],
    width: int,
    height: int,
    *,
    bits: list[int],
    photometric: int = 1,
    order: str = "<",
    more: dict[int, list[int]] | None = None,
) -> bytes:
    """A TIFF of one strip, or of one for each channel; ``more`` has further tags."""
    tags = {256: [width], 257: [height], 258: bits, 259: [1], 262: [photometric], 273: [0] * len(strips)}
    tags |= {277: [len(bits)], 278: [height], 279: [len(strip) for strip in strips]} | (more or {})
    start = 8 + 2 + 12 * len(tags) + 4  # of values that do not fit into an entry
    offsets = start + sum(4 * len(v) for v in tags.values() if len(v) > 1)
    tags[273] = [offsets + sum(tags[279][:i]) for i in range(len(strips))]
    entries = outside = b""
    for tag, values in sorted(tags.items()):
        data = struct.pack(f"{order}{len(values)}I", *values)
        entries += struct.pack(f"{order}HHI", tag, 4, len(values))
        entries += data if len(values) == 1 else struct.pack(f"{order}I", start + len(outside))
        outside += data if len(values) > 1 else b""
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4) + outside + b"".join(strips)


def tiff16(
    levels: np.ndarray, photometric: int, order: str = "<", deflated: bool = False, planes: bool = False
) -> bytes:
    """A TIFF of levels [H, W, C] of 16 bits; the fourth channel of RGB is alpha."""
    height, width, channels = levels.shape
    data = levels.astype(f"{order}u2")
    strips = [
        np.ascontiguousarray(part).tobytes() for part in (data.transpose(2, 0, 1) if planes else [data])
    ]
    more = {259: [8 if deflated else 1], 284: [2 if planes else 1]}
    if channels == 4 and photometric == 2:
        more[338] = [2]
    strips = [zlib.compress(strip) for strip in strips] if deflated else strips
    return tiff(strips, width, height, bits=[16] * channels, photometric=photometric, order=order, more=more)
