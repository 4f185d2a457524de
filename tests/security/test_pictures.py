"""Pictures made to harm: right pixels or one line, in bounded time and memory, and no other program is started."""

import io
import os
import resource
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from picture_files import chunk, chunked, noise, png, saved, tiff
from PIL import Image
from refusals import check_refusal

from gantrain.datasets.files.image_file import Target, read
from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import DataError

SECONDS, MEGABYTES = 10, 1000  # that one picture may take
COLOUR = noise(12, 12, 3)
PNG, JPEG, GIF = (saved(Image.fromarray(COLOUR), kind) for kind in ("PNG", "JPEG", "GIF"))


@pytest.fixture(autouse=True)
def bounds(monkeypatch, canary, victim) -> Iterator[None]:
    """No program is started, and neither time nor memory runs away."""

    def refuse(*words: object, **_: object) -> None:
        pytest.fail(f"a program was started: {words}")

    for module, name in (
        (subprocess, "Popen"),
        (os, "system"),
        (os, "popen"),
        (os, "posix_spawn"),
        (os, "execv"),
    ):
        monkeypatch.setattr(module, name, refuse)
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.monotonic() - start < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 1024


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder of five good pictures."""
    folder = tmp_path / "root"
    folder.mkdir()
    for i in range(5):
        (folder / f"{i}.png").write_bytes(png((noise(12, 12, 3) + 30 * i).astype(np.uint8)))
    return folder


# Files that are refused ------------------------------------------------------------------------------------------


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """A GIF that declares these widths and heights."""
    head = struct.pack("<HHBBB", *screen, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return b"GIF89a" + head + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\x00;"


def webp(side: int) -> bytes:
    """The header of a lossless WebP that declares this width and height."""
    data = b"\x2f" + struct.pack("<I", (side - 1) | ((side - 1) << 14)) + b"\x88\x88\x08"
    return b"RIFF" + struct.pack("<I", 12 + len(data)) + b"WEBPVP8L" + struct.pack("<I", len(data)) + data


def canvas(side: int) -> bytes:
    """A small WebP on a canvas of this width and height."""
    body = saved(Image.new("RGB", (2, 2)), "WEBP", lossless=True)[12:]
    sides = struct.pack("<I", side - 1)[:3] * 2
    rest = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides + body
    return b"RIFF" + struct.pack("<I", len(rest)) + rest


def jpeg(side: int) -> bytes:
    """A JPEG that declares this width and height."""
    content = bytearray(JPEG)
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(content)


def scans(count: int) -> bytes:
    """A progressive JPEG of 16 million pixels that refines them again and again."""
    content = saved(Image.new("L", (4000, 4000), 90), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xc4", 0, content.rindex(b"\xff\xda"))
    return content[:-2] + content[last:-2] * count + content[-2:]


def bmp(width: int, height: int) -> bytes:
    sizes = struct.pack("<IIiiHHIIiiII", 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHH", 1000, 0, 0) + sizes + bytes(100)


def tiles(side: int) -> bytes:
    """A small TIFF whose one tile unpacks to that many pixels squared."""
    data = zlib.compress(bytes(10**6))
    tags = {324: [0], 325: [len(data)], 322: [side], 323: [side], 259: [8]}
    return tiff([data], 64, 64, bits=[8], more=tags)


def insert(content: bytes, *chunks: bytes) -> bytes:
    """A PNG with further chunks after its header."""
    return content[:33] + b"".join(chunks) + content[33:]


BOMBS = {  # files that unpack to far more than they are, and words of the refusal
    "PNG of 2^62 pixels": (lambda: chunked(2**31 - 1, 2**31 - 1, 1, 0, bytes(9)), "declares more than"),
    "PNG of 120 million": (lambda: chunked(12_000, 10_000, 1, 0, bytes(9)), "declares 12000 x 10000 pixels"),
    "GIF screen": (lambda: gif((65535, 65535), (1, 1)), "declares more than"),
    "GIF frame": (lambda: gif((2, 2), (65535, 65535)), "declares more than"),
    "GIF frame below the cap": (lambda: gif((2, 2), (9000, 9000)), "declares 9000 x 9000 pixels"),
    "WebP": (lambda: webp(16384), "declares more than"),
    "WebP below the cap": (lambda: webp(9000), "declares 9000 x 9000 pixels"),
    "WebP canvas": (lambda: canvas(2**24), "declares more than"),
    "JPEG": (lambda: jpeg(65535), "declares more than"),
    "JPEG below the cap": (lambda: jpeg(9000), "declares 9000 x 9000 pixels"),
    "JPEG scans": (lambda: scans(400), "more than 100 scans"),
    "BMP": (lambda: bmp(2**30, 2**30), "declares more than"),
    "BMP upside down": (lambda: bmp(9000, -9000), "declares 9000 x 9000 pixels"),
    "TIFF": (lambda: tiff([bytes(9)], 2**31, 2**31, bits=[8]), "declares more than"),
    "TIFF tile": (lambda: tiles(30_000), "declares 30000 x 30000 pixels"),
}
FITS = b"SIMPLE  =                    T" + b" " * 50 + b"END".ljust(80)
PSD = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + bytes(60)
PROGRAMS = {  # what other programs or other readers of Pillow would open
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(CANARY) (w) file closefile\nshowpage\n%%EOF\n",
    "PS": b"%!PS\n(CANARY) (w) file closefile showpage\n",
    "EPS in DOS": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, 99) + bytes(20) + b"%!PS-Adobe-3.0\n",
    "PDF": b"%PDF-1.4\n1 0 obj <</OpenAction <</S /Launch /F (CANARY)>>>> endobj\n%%EOF\n",
    "PSD": PSD,
    "FITS": FITS.ljust(2880),
    "SVG": b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b'<svg xmlns="http://www.w3.org/2000/svg"><script>fetch("http://localhost")</script>&x;</svg>',
    "HTML": b"<!DOCTYPE html><html><script>alert(1)</script></html>",
    "script": b"#!/bin/sh\ntouch CANARY\n",
    "pickle": b"\x80\x04cposix\nsystem\n(S'touch CANARY'\ntR.",
    "torch": b"PK\3\4" + bytes(26) + b"archive/data.pkl",
    "NumPy": b"\x93NUMPY\1\0v\0{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "WMF": b"\xd7\xcd\xc6\x9a" + bytes(100),
    "icon": saved(Image.new("RGB", (16, 16)), "ICO"),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
}


def load_one(root: Path, content: bytes, words: str) -> None:
    """The picture is one line that names it, and is left out where that is set."""
    (root / "x.png").write_bytes(content)
    with pytest.raises(DataError) as fault:
        ImageFolder(root=str(root), resolution=8).load(0)
    line = check_refusal(fault.value.exit_code, "", f"gantrain: error: {fault.value}\n", 3, (words,))
    assert line.startswith(f"gantrain: error: {root / 'x.png'}: ")
    data = ImageFolder(root=str(root), resolution=8, bad_files="skip").load(0)
    assert len(data.train) + len(data.holdout) == 5


@pytest.mark.parametrize("case", BOMBS)
def test_decompression_bomb_is_refused_by_its_header(case, root):
    make, words = BOMBS[case]
    load_one(root, make(), words)


@pytest.mark.parametrize("case", PROGRAMS)
def test_other_format_under_the_name_of_a_picture_runs_nothing(case, root, canary):
    load_one(root, PROGRAMS[case].replace(b"CANARY", os.fsencode(canary)), "is not a PNG, JPEG")


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_file_longer_than_its_pixels_can_be_is_not_read(kind, root):
    head = webp(64) if kind == "WEBP" else PNG[:33] + struct.pack(">I4s", 2**31, b"prIv")
    with (root / "x.png").open("wb") as file:
        file.write(head)
        file.truncate(2**40)  # takes no place on the disk
    with pytest.raises(DataError, match=r"is 1\.1 TB long"):
        ImageFolder(root=str(root), resolution=8).load(0)


# Files that are read ---------------------------------------------------------------------------------------------


def exif(count: int) -> bytes:
    """EXIF of that many entries, each of which turns the picture upside down."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, 3, 0)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", min(count, 65535)) + entry * count


def app(data: bytes, marker: int = 0xE1) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 255, marker, len(data) + 2) + data


def loop(tag: int) -> bytes:
    """A TIFF whose directory leads to itself."""
    return tiff([COLOUR.tobytes()], 12, 12, bits=[8, 8, 8], photometric=2, more={tag: [8]})


def pages() -> bytes:
    """A TIFF whose second page would be a bomb."""
    first, second = (
        bytearray(tiff([COLOUR.tobytes()], side, side, bits=[8] * 3, photometric=2)) for side in (12, 2**20)
    )
    end = 10 + 12 * struct.unpack("<H", first[8:10])[0]
    first[end : end + 4] = struct.pack("<I", len(first) + 8)
    return bytes(first + second)


HALF = np.rot90(COLOUR, 2)
HEALTHY = {  # files with something odd in them, and their pixels
    "PNG and ZIP": (lambda: PNG + b"PK\5\6" + bytes(18), COLOUR),
    "PNG and HTML": (lambda: PNG + b"<script>alert(1)</script>", COLOUR),
    "PNG of much EXIF": (lambda: insert(PNG, chunk(b"eXIf", exif(300_000))), HALF),
    "PNG of 10,000 chunks": (lambda: insert(PNG, chunk(b"prIv", b"") * 10_000), COLOUR),
    "PNG with XML bomb": (
        lambda: insert(
            PNG, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<!DOCTYPE x [<!ENTITY a 'a'>]><x>&a;</x>")
        ),
        COLOUR,
    ),
    "PNG that inflates on": (
        lambda: chunked(12, 12, 8, 2, b"".join(b"\0" + row.tobytes() for row in COLOUR) + bytes(10**7)),
        COLOUR,
    ),
    "TIFF EXIF loop": (lambda: loop(34665), COLOUR),
    "TIFF sub-directory loop": (lambda: loop(330), COLOUR),
    "TIFF GPS loop": (lambda: loop(34853), COLOUR),
    "TIFF second page": (pages, COLOUR),
    "TIFF strip": (
        lambda: tiff(
            [zlib.compress(COLOUR.tobytes() + bytes(10**7))],
            12,
            12,
            bits=[8] * 3,
            photometric=2,
            more={259: [8]},
        ),
        COLOUR,
    ),
}


@pytest.mark.parametrize("case", HEALTHY)
def test_healthy_picture_with_a_burden_keeps_its_pixels(case, tmp_path):
    make, expected = HEALTHY[case]
    (tmp_path / "x").write_bytes(make())
    assert (read(str(tmp_path / "x"), Target(3, (12, 12))).pixels.transpose(1, 2, 0) == expected).all()


BURDENS = {
    "EXIF": app(b"Exif\0\0" + exif(5000)) * 50,
    "profiles": app(b"ICC_PROFILE\0\1\1" + bytes(60_000), 0xE2) * 100,
    "comments": app(b"", 0xFE) * 10_000,
}


@pytest.mark.parametrize("case", BURDENS)
def test_jpeg_of_many_segments_keeps_its_pixels(case, tmp_path):
    plain = np.asarray(Image.open(io.BytesIO(JPEG)))
    (tmp_path / "x").write_bytes(JPEG[:2] + BURDENS[case] + JPEG[2:])
    found = read(str(tmp_path / "x"), Target(3, (12, 12))).pixels.transpose(1, 2, 0)
    assert (found == (np.rot90(plain, 2) if case == "EXIF" else plain)).all()


# The first picture of several ------------------------------------------------------------------------------------

SEVERAL = {  # a red picture followed by green ones; of the APNG the red one is no frame of the animation
    "APNG with a default image": ("PNG", 2, {"default_image": True}),
    "MPO": ("MPO", 1, {}),
    "GIF of 200 frames": ("GIF", 200, {}),
    "TIFF of two pages": ("TIFF", 1, {}),
    "WebP of two frames": ("WEBP", 1, {"lossless": True}),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_first_of_several_pictures_counts(case, tmp_path):
    kind, count, how = SEVERAL[case]
    red, *green = (Image.new("RGB", (12, 12), colour) for colour in ("#ff0000", *["#00ff00"] * count))
    (tmp_path / "x").write_bytes(saved(red, kind, save_all=True, append_images=green, **how))
    found = read(str(tmp_path / "x"), Target(3, (12, 12))).pixels.transpose(1, 2, 0).astype(int)
    assert np.abs(found - [255, 0, 0]).max() <= 2


def test_lab_becomes_the_colours_that_it_stands_for(tmp_path):
    # CIE 1976 L*a*b* of sRGB under D50, by the standard's formulas
    v = COLOUR / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    to_xyz = [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
    xyz = linear @ np.array(to_xyz).T / [0.9642, 1, 0.8249]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    lightness, a, b = 116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])
    lab = np.stack([lightness * 2.55, a, b], 2).round().astype(int) & 255
    (tmp_path / "x").write_bytes(tiff([lab.astype(np.uint8).tobytes()], 12, 12, bits=[8] * 3, photometric=8))
    found = read(str(tmp_path / "x"), Target(3, (12, 12))).pixels.transpose(1, 2, 0)
    error = np.abs(found.astype(int) - COLOUR)
    assert error.mean() < 3  # a and b are whole numbers, and dark colours are sensitive to them
    assert np.percentile(error, 90) <= 6
