"""One picture: texts too long for Pillow, lines that libraries print, and how another shape is fitted."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import chunk, noise, png, saved, tiff
from PIL import Image, PngImagePlugin

from gantrain.datasets.files.image_file import Target, read
from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import DataError

H, W = 10, 14
COLOUR = noise(H, W, 3)
PNG = png(COLOUR)
LONG = zlib.compress(b"a" * (PngImagePlugin.MAX_TEXT_CHUNK + 1))
MEMORY = 2**16  # in place of Pillow's 64 MiB for all texts of a file
TEXTS = {  # chunks that Pillow refuses
    "zTXt": (b"zTXt", b"key\0\0" + LONG),
    "iTXt": (b"iTXt", b"key\0\1\0en\0key\0" + LONG),
    "iCCP": (b"iCCP", b"name\0\0" + LONG),
    "tEXt": (b"tEXt", b"key\0" + b"a" * (MEMORY + 1)),
}


def insert(content: bytes, before: bytes, *chunks: bytes) -> bytes:
    """A PNG with further chunks before the one of that name."""
    at = content.index(before) - 4
    return content[:at] + b"".join(chunks) + content[at:]


def pixels(
    folder: Path, content: bytes, channels: int = 3, size: tuple[int, int] = (H, W), **target: object
) -> np.ndarray:
    """What a file of this content becomes, [H, W, C]."""
    path = folder / "picture"
    path.write_bytes(content)
    return read(str(path), Target(channels, size, **target)).pixels.transpose(1, 2, 0)


# Text that is longer than Pillow allows --------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
@pytest.mark.parametrize("kind", TEXTS)
def test_long_texts_change_no_pixel(kind, before, tmp_path, monkeypatch):
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_MEMORY", MEMORY)
    content = insert(PNG, before, chunk(*TEXTS[kind]))
    assert (pixels(tmp_path, content) == COLOUR).all()


def test_many_texts_change_no_pixel_and_no_orientation(tmp_path, monkeypatch):
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_MEMORY", MEMORY)
    exif = Image.Exif()
    exif[0x0112] = 3
    words = [chunk(b"tEXt", b"key\0" + b"a" * 2**12)] * (MEMORY // 2**12 + 1)
    content = insert(insert(PNG, b"IDAT", *words), b"IDAT", chunk(b"eXIf", exif.tobytes()[6:]))
    assert (pixels(tmp_path, content) == np.rot90(COLOUR, 2)).all()


def test_the_caps_of_pillow_stay_as_they_are(tmp_path):
    before = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY, Image.MAX_IMAGE_PIXELS
    pixels(tmp_path, insert(PNG, b"IDAT", chunk(*TEXTS["zTXt"])))
    assert before == (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY, Image.MAX_IMAGE_PIXELS)


@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
def test_damage_next_to_a_long_text_is_still_found(before, tmp_path):
    content = insert(PNG, before, chunk(*TEXTS["zTXt"]))
    at = content.index(b"IDAT") + 10
    for broken in (
        content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :],
        content[:-12],
        content[: at + 40],
    ):
        with pytest.raises(DataError):
            pixels(tmp_path, broken)


def test_a_text_that_claims_gigabytes_is_one_error(tmp_path):
    claim = struct.pack(">I4s", 0xFFFFFFF0, b"zTXt") + b"key\0\0"
    content = insert(insert(PNG, b"IDAT", claim), b"zTXt", chunk(*TEXTS["zTXt"]))
    with pytest.raises(DataError):
        pixels(tmp_path, content)


# What libraries print --------------------------------------------------------------------------------------------


def fax(damage: slice | None = None, cut: int | None = None) -> bytes:
    """A 1-bit TIFF in CCITT group 4, damaged or cut; libtiff goes on after damage."""
    image = Image.fromarray(noise(200, 300)).convert("1")
    content = bytearray(saved(image, "TIFF", compression="group4"))
    if damage:
        content[damage] = bytes(byte ^ 0x5A for byte in content[damage])
    return bytes(content[:cut])


def many_samples() -> bytes:
    return tiff([bytes(H * W)], W, H, bits=[8], more={277: [50]})


def false_count() -> bytes:
    return tiff([bytes(H * W)], W, H, bits=[8], more={284: [1, 1]})


def huge_tag() -> bytes:
    content = bytearray(tiff([bytes(H * W)], W, H, bits=[8], more={305: [1, 1]}))
    at = content.index(struct.pack("<HHI", 305, 4, 2))
    content[at + 4 : at + 8] = struct.pack("<I", 2**20)
    return bytes(content)


STRAY = {  # files on which libtiff, Pillow's log or Python's warnings write lines, and words of the error, if it is one
    "fax damage": (lambda: fax(slice(3000, 3002)), "Bad code word at line "),
    "fax cut": (lambda: fax(cut=2000), ""),
    "many samples": (many_samples, "is not a PNG"),
    "false count": (false_count, None),
    "huge tag": (huge_tag, None),
    "deflate cut": (
        lambda: saved(Image.fromarray(noise(99, 99)), "TIFF", compression="tiff_deflate")[:900],
        "",
    ),
}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("case", STRAY)
def test_libraries_print_no_line_next_to_ours(case, tmp_path, capfd):
    make, words = STRAY[case]
    for i in range(5):
        (tmp_path / f"{i}.png").write_bytes(png((noise(16, 16) + i).astype(np.uint8)))
    (tmp_path / "x.tif").write_bytes(make())
    shown = warnings.showwarning
    data = ImageFolder(root=str(tmp_path), resolution=8, bad_files="skip").load(0)
    out, err = capfd.readouterr()
    assert out == ""
    assert [line for line in err.splitlines() if "1 of 6 images cannot be read" not in line] == []
    assert len(data.train) + len(data.holdout) == (6 if words is None else 5)
    assert warnings.showwarning is shown
    if words:
        with pytest.raises(DataError, match=words):
            ImageFolder(root=str(tmp_path), resolution=8).load(0)
        assert capfd.readouterr().err == ""


# Fitting ---------------------------------------------------------------------------------------------------------

SHAPES = [(8, 8), (8, 24), (24, 8), (37, 19), (3, 90)]  # of pictures, height and width


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(16, 16), (9, 31)])
def test_contain_keeps_the_whole_picture_between_equal_margins(size, channels, shape, tmp_path):
    content = png(np.full((*shape, 3), 200, np.uint8))
    found = pixels(tmp_path, content, channels, size, fit="contain", background=77).astype(int)
    scale = min(size[0] / shape[0], size[1] / shape[1])
    inner = [max(1, round(side * scale)) for side in shape]
    picture = [
        slice((outer - side) // 2, (outer - side) // 2 + side)
        for outer, side in zip(size, inner, strict=True)
    ]
    expected = np.full((*size, channels), 77)
    if channels == 4:
        expected[:, :, 3] = 0
    expected[picture[0], picture[1]] = [200, 200, 200, 255][:channels]
    assert (found == expected).all()
    assert any(side == outer for side, outer in zip(inner, size, strict=True))


@pytest.mark.parametrize("fit", ["cover", "contain"])
def test_image_of_any_size_fits_any_other(fit, tmp_path):
    dice = np.random.default_rng(0)
    for _ in range(60):  # rounding made an offset of 1 in 50 negative
        (width, height), size = dice.integers(2, 200, 2), dice.integers(8, 200, 2).tolist()
        content = png(np.full((height, width), 200, np.uint8))
        found = pixels(tmp_path, content, 1, tuple(size), fit=fit, background=200)
        assert (found == 200).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_contain_and_cover_agree_where_nothing_is_cropped(channels, tmp_path):
    for shape in ((16, 28), (48, 84), (4, 7)):
        content = png(noise(*shape, 4) | np.array([0, 0, 0, 1], np.uint8))
        cover, contain = (
            pixels(tmp_path, content, channels, (16, 28), fit=fit) for fit in ("cover", "contain")
        )
        assert (cover == contain).all()


def test_contain_turns_first_and_keeps_a_frame_of_its_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    found = pixels(
        tmp_path, saved(Image.fromarray(COLOUR), "PNG", exif=exif), 3, (W, 20), fit="contain", background=3
    )
    assert (found[:, 5:15] == np.rot90(COLOUR, -1)).all()
    assert (found[:, :5] == 3).all()
    assert (found[:, 15:] == 3).all()


def test_contain_shows_what_cover_crops(tmp_path):
    logo = np.zeros((8, 40), np.uint8)
    logo[:, :8] = logo[:, -8:] = 255  # a letter at each end
    cover, contain = (pixels(tmp_path, png(logo), 1, (40, 40), fit=fit) for fit in ("cover", "contain"))
    assert cover.max() == 0
    assert (contain[16:24, :, 0] == logo).all()


@pytest.mark.parametrize("memory_limit", [4.0, 0.0])
def test_fit_is_part_of_what_is_cached(memory_limit, tmp_path):
    root = tmp_path / "x"
    root.mkdir()
    for i in range(4):
        (root / f"{i}.png").write_bytes(png((noise(8, 24) + i).astype(np.uint8)))
    options = dict(root=str(root), resolution=8, width=8, memory_limit=memory_limit)
    first, other, again = (
        ImageFolder(**options, fit=fit).load(0).train for fit in ("cover", "contain", "cover")
    )
    every = torch.arange(len(first))
    assert torch.equal(first.take(every)[0], again.take(every)[0])
    assert not torch.equal(first.take(every)[0], other.take(every)[0])
