"""A folder of images: pixels by the stated rules, each file once in a fixed order, faults of one line with the file."""

import errno
import io
import os
import re
import shutil
import socket
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import chunked, noise, png, saved, sixteen, tiff
from PIL import Image

from gantrain.core.spec import Spec
from gantrain.datasets.files.image_file import Target, read
from gantrain.datasets.files.image_paths import list_images
from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import ConfigError, DataError, GantrainError, OutputError
from gantrain.registry import build

H, W = 10, 14


@pytest.fixture
def pixels_of(tmp_path) -> Callable[..., np.ndarray]:
    """Return ``f(content, channels, ...)``: what a file of this content becomes, at its own size, as [H, W, C]."""

    def decode(
        content: bytes, channels: int = 3, size: tuple[int, int] = (H, W), background: int = 0
    ) -> np.ndarray:
        path = tmp_path / "picture"
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = read(str(path), Target(channels, size, background)).pixels
        assert found.dtype == np.uint8
        assert found.shape == (channels, *size)
        return found.transpose(1, 2, 0)

    return decode


# Pixels by the stated rules --------------------------------------------------------------------------------------

COLOUR, GREY = noise(H, W, 3), noise(H, W)
RGBA, LA = noise(H, W, 4), noise(H, W, 2)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_a_colour_picture_of_the_wanted_size_keeps_every_byte(kind, pixels_of):
    how = {"lossless": True} if kind == "WEBP" else {}
    content = saved(Image.fromarray(COLOUR), kind, **how)
    assert (pixels_of(content) == COLOUR).all()
    opaque = pixels_of(content, 4)
    assert (opaque[:, :, :3] == COLOUR).all()
    assert (opaque[:, :, 3] == 255).all()


def test_image_channels_of_grey_and_luma_of_colour(pixels_of):
    assert (pixels_of(png(GREY), 3) == GREY[:, :, None]).all()
    assert (pixels_of(png(GREY), 1) == GREY[:, :, None]).all()
    luma = COLOUR @ np.array([0.299, 0.587, 0.114])
    assert np.abs(pixels_of(png(COLOUR), 1)[:, :, 0] - luma).max() <= 0.51


TURNED = {  # EXIF 2.3, table 6: what the 0th row and column of the stored pixels are, as operations that undo it
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_picture_is_turned_once_as_its_exif_says(orientation, kind, pixels_of):
    exif = Image.Exif()
    exif[0x0112] = orientation
    how = {"lossless": True} if kind == "WEBP" else {}
    content = saved(Image.fromarray(COLOUR), kind, exif=exif, **how)
    upright = TURNED[orientation](COLOUR)
    assert (pixels_of(content, 3, upright.shape[:2]) == upright).all()


def test_jpeg_is_turned_and_may_be_progressive(pixels_of):
    smooth = np.add.outer(np.arange(H) * 12, np.arange(W) * 8).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(Image.fromarray(smooth), "JPEG", quality=100, exif=exif, progressive=True)
    found = pixels_of(turned, 1, (W, H))[:, :, 0].astype(int)
    assert np.abs(found - np.rot90(smooth, -1)).max() <= 2


@pytest.mark.parametrize("broken", [b"\xff" * 20, b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"])
def test_damaged_exif_says_nothing_of_the_picture(broken, pixels_of):
    assert (pixels_of(png(COLOUR, exif=broken)) == COLOUR).all()


def over(colour: np.ndarray, alpha: np.ndarray, background: int) -> np.ndarray:
    return (colour * (alpha / 255.0) + background * (1 - alpha / 255.0)).astype(float)


@pytest.mark.parametrize("background", [0, 128, 255])
def test_what_is_transparent_lies_over_the_background(background, pixels_of):
    expected = over(RGBA[:, :, :3], RGBA[:, :, 3:], background)
    assert np.abs(pixels_of(png(RGBA), 3, background=background) - expected).max() <= 0.51
    luma = expected @ np.array([0.299, 0.587, 0.114])
    assert (
        np.abs(pixels_of(png(RGBA), 1, background=background)[:, :, 0] - luma).max() <= 1.1
    )  # rounded twice
    expected = over(LA[:, :, :1], LA[:, :, 1:], background)
    assert np.abs(pixels_of(png(LA), 1, background=background) - expected).max() <= 0.51
    assert np.abs(pixels_of(png(LA), 3, background=background) - expected).max() <= 0.51


def test_colour_that_nobody_can_see_is_not_seen(pixels_of):
    hidden = RGBA.copy()
    hidden[:, :7, 3] = 0
    for channels in (1, 3):
        assert (pixels_of(png(hidden), channels, background=77)[:, :7] == 77).all()
    kept = pixels_of(png(hidden), 4, background=77)
    assert (kept[:, :7] == [77, 77, 77, 0]).all()
    seen = hidden[:, :, 3] > 0
    assert (kept[seen] == hidden[seen]).all()  # alpha is kept as it is
    small = pixels_of(png(hidden), 4, (5, 7), background=77)
    assert (small[small[:, :, 3] == 0][:, :3] == 77).all()


def test_scaling_with_alpha_weighs_colour_by_it(pixels_of):
    sheet = np.zeros((16, 16, 4), np.uint8)
    sheet[::2] = (0, 255, 0, 0)  # invisible green between rows of red
    sheet[1::2] = (255, 0, 0, 255)
    small = pixels_of(png(sheet), 4, (8, 8))
    assert (small[:, :, 0] >= 254).all()
    assert (small[:, :, 1] == 0).all()
    assert np.abs(small[:, :, 3].mean() - 127.5) <= 2
    assert np.abs(pixels_of(png(sheet), 3, (8, 8)).mean((0, 1)) - [127.5, 0, 0]).max() <= 2


def test_a_palette_gives_its_colours_and_its_transparency(pixels_of):
    palette, index = noise(16, 3), noise(H, W, top=16)
    image = Image.fromarray(index).convert("P")
    image.putdata(index.flatten())
    image.putpalette(palette.flatten().tolist())
    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        assert (pixels_of(saved(image, kind)) == palette[index]).all(), kind
    for clear in (5, bytes(range(0, 160, 10))):
        alpha = np.full(16, 255) if isinstance(clear, int) else np.array(list(clear))
        if isinstance(clear, int):
            alpha[clear] = 0
        content = saved(image, "PNG", transparency=clear)
        expected = over(palette[index], alpha[index][:, :, None], 200)
        assert np.abs(pixels_of(content, 3, background=200) - expected).max() <= 0.51
        assert (pixels_of(content, 4)[:, :, 3] == alpha[index]).all()


def test_a_colour_that_a_png_declares_clear_is_transparent(pixels_of):
    grey = GREY // 64 * 64
    assert (
        pixels_of(png(grey, transparency=64), 1, background=9)[:, :, 0] == np.where(grey == 64, 9, grey)
    ).all()
    colour = COLOUR.copy()
    colour[:, 0] = (1, 2, 3)
    found = pixels_of(png(colour, transparency=(1, 2, 3)), 3, background=9)
    assert (found[:, 0] == 9).all()
    assert (found[:, 1:] == colour[:, 1:]).all()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_one_bit_is_black_and_white(kind, pixels_of):
    bits = GREY > 127
    found = pixels_of(saved(Image.fromarray(bits), kind), 1)[:, :, 0]
    assert (found == bits * 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_not_cut_off(kind, pixels_of):
    values = noise(H, W, top=65536, dtype=np.uint16)
    values[0, :4] = (0, 255, 256, 65535)
    for channels in (1, 3):
        found = pixels_of(saved(sixteen(values), kind), channels)
        assert np.abs(found - values[:, :, None] / 257.0).max() <= 0.5


def test_a_16_bit_grey_that_is_declared_clear_is_transparent(pixels_of):
    values = np.full((H, W), 30_000, np.uint16)
    values[0] = 30_001  # the same in 8 bits
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    content = chunked(W, H, 16, 0, rows, (b"tRNS", struct.pack(">H", 30_001)))
    found = pixels_of(content, 1, background=255)[:, :, 0]
    assert (found[0] == 255).all()
    assert (found[1:] == round(30_000 / 257)).all()


def test_tiff_of_12_bits_and_with_white_as_zero(pixels_of):
    values = noise(H, W, top=65536, dtype=np.uint16)
    found = pixels_of(tiff([values.astype("<u2").tobytes()], W, H, bits=[16], photometric=0), 1)[:, :, 0]
    assert np.abs(found - (255 - values / 257.0)).max() <= 0.51
    twelve = values >> 4
    pairs = twelve.reshape(-1, 2).astype(int)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1)
    found = pixels_of(tiff([packed.astype(np.uint8).tobytes()], W, H, bits=[12]), 1)[:, :, 0]
    assert np.abs(found - twelve * (255 / 4095)).max() <= 0.51


def test_cmyk_is_converted_by_the_plain_formula(pixels_of):
    ink = noise(H, W, 4)
    found = pixels_of(saved(Image.fromarray(ink, "CMYK"), "TIFF"))
    expected = (255.0 - ink[:, :, :3]) * (255.0 - ink[:, :, 3:]) / 255
    assert np.abs(found - expected).max() <= 1.01
    white = saved(Image.new("CMYK", (W, H)), "JPEG", quality=100)  # Adobe stores it inverted
    assert (pixels_of(white) >= 254).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_is_its_first_frame(kind, pixels_of):
    frames = [Image.new("RGB", (W, H), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    how = {"lossless": True} if kind == "WEBP" else {}
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **how)
    with Image.open(io.BytesIO(content)) as image:
        assert image.n_frames == 3
    assert (pixels_of(content) == [255, 0, 0]).all()


def test_a_colour_profile_changes_nothing(pixels_of):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    assert (pixels_of(png(COLOUR, icc_profile=profile)) == COLOUR).all()


@pytest.mark.parametrize("size", [(8, 8), (8, 24), (24, 8), (37, 19), (200, 200)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_scaling_keeps_a_constant_constant(size, channels, pixels_of):
    content = png(np.full((31, 17, 3), 201, np.uint8))
    assert (pixels_of(content, channels, size)[:, :, : min(channels, 3)] == 201).all()


@pytest.mark.parametrize("turned", [False, True])
def test_image_is_scaled_by_its_shorter_side_and_cropped(turned, pixels_of):
    wide = np.zeros((8, 40), np.uint8)
    wide[:, :16], wide[:, 16:24], wide[:, 24:] = 10, noise(8, 8), 250
    stored = wide.T if turned else wide
    middle = wide[:, 16:24].T if turned else wide[:, 16:24]
    assert (pixels_of(png(stored), 1, (8, 8))[:, :, 0] == middle).all()


def test_shrinking_is_antialiased(pixels_of):
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    small = pixels_of(png(stripes), 1, (8, 8))
    assert np.abs(small - 127.5).max() <= 30  # without a filter it would be 0 or 255


def test_long_image_is_scaled_in_little_memory(pixels_of):
    long = np.full((2, 60_000), 90, np.uint8)
    assert (pixels_of(png(long), 1, (64, 64)) == 90).all()


# Which files, and in which order ---------------------------------------------------------------------------------


def fill(folder: Path, *names: str | bytes, size: int = 12) -> None:
    """Write a small picture of its own for each name."""
    for i, name in enumerate(names):
        path = Path(os.fsdecode(os.path.join(os.fsencode(folder), os.fsencode(name))))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png((noise(size, size, 3) + 20 * i).astype(np.uint8)))


def names(folder: Path) -> list[str]:
    return [file.name for file in list_images(str(folder)).files]


def test_images_are_found_at_any_depth_sorted_by_bytes(tmp_path):
    fill(
        tmp_path,
        "b.PNG",
        "a/z.jpg",
        "a/b/c/d.webp",
        "é.bmp",
        "Z.gif",
        "a.tiff",
        "a b.tif",
        "-rf.jpeg",
        "10.png",
        "9.png",
    )
    fill(tmp_path, "notes.txt", "png", "x.heic", ".hidden.png", ".cache/x.png", "a/._x.png", "noise.png.bak")
    found = names(tmp_path)
    assert found == sorted(found, key=os.fsencode)
    assert set(found) == {
        *(
            "b.PNG",
            "a/z.jpg",
            "a/b/c/d.webp",
            "é.bmp",
            "Z.gif",
            "a.tiff",
            "a b.tif",
            "-rf.jpeg",
            "10.png",
            "9.png",
        )
    }


def test_links_do_not_multiply_files(tmp_path):
    root = tmp_path / "root"
    fill(root, "a/1.png", "a/2.png", "b/3.png", "b/4.png")
    for name, target in (
        ("loop", "."),
        ("a/up", ".."),
        ("out", tmp_path),
        ("whole", "/"),
        ("again", "a"),
        ("me", "me"),
    ):
        (root / name).symlink_to(target, target_is_directory=True)
    (root / "0.png").symlink_to("a/1.png")  # sorts before what it leads to
    os.link(root / "b" / "3.png", root / "b" / "9.png")
    fill(tmp_path / "elsewhere", "5.png")
    (root / "c").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert names(root) == ["a/1.png", "a/2.png", "b/3.png", "b/4.png", "c/5.png"]


def test_pipes_sockets_and_folders_are_no_images(tmp_path, monkeypatch):
    fill(tmp_path, "1.png", "2.png", "3.png", "4.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)  # a socket's whole path may have about a hundred letters
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        (tmp_path / "null.png").symlink_to("/dev/null")
        assert names(tmp_path) == ["1.png", "2.png", "3.png", "4.png"]
        assert len(ImageFolder(root=str(tmp_path), resolution=8).load(0).train) == 2


ODD = (
    b"bad\xff.png",
    "two\nlines.png",
    "{}.png",
    "%s.png",
    "'\".png",
    "a" * 251 + ".png",
    "e\u0301.png",
    "\u00e9.png",
)


def test_odd_names_are_read(tmp_path):
    fill(tmp_path, *ODD)
    assert {os.fsencode(name) for name in names(tmp_path)} == {os.fsencode(name) for name in ODD}
    data = ImageFolder(root=str(tmp_path), resolution=8, memory_limit=0).load(0)
    assert len(data.train) + len(data.holdout) == len(ODD)


def test_a_name_that_is_not_text_is_printed_escaped_on_one_line(tmp_path):
    fill(tmp_path, "1.png", "2.png", "3.png", "4.png")
    (tmp_path / os.fsdecode(b"bad\xff\n.png")).write_bytes(b"no")
    with pytest.raises(DataError) as fault:
        ImageFolder(root=str(tmp_path)).load(0)
    assert "bad\\udcff\\n.png" in str(fault.value).encode("utf-8").decode()


# The dataset -----------------------------------------------------------------------------------------------------


@pytest.fixture
def sorted_folder(tmp_path) -> Path:
    """Three classes of six pictures; the colour of a picture tells its class."""
    for label, name in enumerate(("ant", "bee", "cat")):
        for i in range(6):
            path = tmp_path / "images" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(np.full((20, 16, 3), 80 * label + i, np.uint8)))
    return tmp_path / "images"


def everything(data) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return all samples and labels through the door that training uses, training data first."""
    parts = [part.take(torch.arange(len(part))) for part in (data.train, data.holdout)]
    x = torch.cat([x for x, _ in parts])
    return x, None if parts[0][1] is None else torch.cat([y for _, y in parts])


@pytest.mark.parametrize("memory_limit", [4.0, 0.0])
def test_class_folders_are_classes_and_each_image_keeps_its_own(sorted_folder, memory_limit):
    dataset = ImageFolder(root=str(sorted_folder), resolution=8, width=12, memory_limit=memory_limit)
    data = dataset.load(3)
    assert data.spec == dataset.spec() == Spec((3, 8, 12), classes=3)
    assert data.train.x.dtype == torch.uint8
    assert len(data.holdout) == 2
    x, y = everything(data)
    assert x.dtype == torch.float32
    values = x.add(1).mul(127.5).round().to(int)
    assert (values == values[:, :1, :1, :1]).all()
    assert sorted(values[:, 0, 0, 0].tolist()) == sorted(
        80 * label + i for label in range(3) for i in range(6)
    )
    assert (values[:, 0, 0, 0] // 80 == y).all()


def test_labels_can_be_left_out_and_need_two_folders(sorted_folder):
    assert ImageFolder(root=str(sorted_folder), labels="none").load(0).train.y is None
    assert ImageFolder(root=str(sorted_folder / "ant")).spec().classes == 0
    assert ImageFolder(root=str(sorted_folder.parent)).spec().classes == 0


@pytest.mark.parametrize("memory_limit", [4.0, 0.0])
def test_the_split_is_the_seeds(sorted_folder, memory_limit):
    first, again, other = (
        everything(ImageFolder(root=str(sorted_folder), resolution=8, memory_limit=memory_limit).load(seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def cache() -> set[Path]:
    return set((Path(os.environ["XDG_CACHE_HOME"]) / "gantrain").glob("pixels-*"))


@pytest.mark.parametrize("seed", [0, 1])
def test_mapped_is_bit_for_bit_what_is_in_memory(sorted_folder, seed, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (sorted_folder / "bee" / "0.png").write_bytes(b"broken")
    options = dict(root=str(sorted_folder), resolution=9, bad_files="skip")
    memory = ImageFolder(**options).load(seed)
    assert cache() == set()
    written = ImageFolder(**options, memory_limit=0).load(seed)
    (path,) = cache()
    before = path.stat()
    mapped = ImageFolder(**options, memory_limit=0).load(seed)
    assert cache() == {path}
    assert path.stat().st_mtime_ns == before.st_mtime_ns  # decoded once
    assert torch.equal(torch.cat(list(mapped.train.pieces())), mapped.train.x)
    for other in (written, mapped):
        for part in ("train", "holdout"):
            expected, found = getattr(memory, part), getattr(other, part)
            assert len(found) == len(expected)
            index = torch.arange(len(expected)).flip(0)
            for a, b in zip(expected.take(index), found.take(index), strict=True):
                assert torch.equal(a, b)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_stored_pixels_stay_out_of_the_memory(tmp_path, monkeypatch):
    def resident_kilobytes() -> int:
        found = re.search(r"^RssFile:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
        return int(found[1])

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "images").mkdir()
    for i in range(80):
        (tmp_path / "images" / f"{i}.png").write_bytes(png(np.full((2, 2, 3), i, np.uint8)))
    dataset = ImageFolder(root=str(tmp_path / "images"), resolution=256, memory_limit=0)
    dataset.load(0)  # writes the file, of 15 MiB
    before = resident_kilobytes()
    data = dataset.load(0)
    for start in range(0, len(data.train), 8):
        data.train.take(torch.arange(start, start + 8))
    assert resident_kilobytes() - before < 6 * 2**10


def test_the_cache_follows_files_and_options_but_not_the_seed(sorted_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def count(seed: int = 0, **options: object) -> int:
        ImageFolder(root=str(sorted_folder), **{"resolution": 8, "memory_limit": 0} | options).load(seed)
        return len(cache())

    assert count() == count(seed=1) == count(holdout=0.4) == 1
    assert [count(channels=1), count(resolution=16), count(background=9), count(width=11)] == [2, 3, 4, 5]
    (sorted_folder / "ant" / "0.png").write_bytes(png(np.full((9, 9, 3), 33, np.uint8)))
    assert count() == 6
    os.rename(sorted_folder / "ant" / "0.png", sorted_folder / "ant" / "7.png")
    assert count() == 7


def test_image_cache_is_rebuilt_and_leaves_no_part(sorted_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    dataset = ImageFolder(root=str(sorted_folder), resolution=8, memory_limit=0)
    right, _ = everything(dataset.load(0))
    (path,) = cache()
    path.write_bytes(path.read_bytes()[:-1])
    assert torch.equal(everything(dataset.load(0))[0], right)
    path.unlink()
    (sorted_folder / "bee" / "0.png").write_bytes(b"broken")
    with pytest.raises(DataError):
        dataset.load(0)
    assert cache() == set()


def test_image_cache_on_a_full_disk_names_file_and_remedies(sorted_folder, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputError, match="free space on that disk, or set XDG_CACHE_HOME") as fault:
        ImageFolder(root=str(sorted_folder), resolution=8, memory_limit=0).load(0)
    assert re.search(r"/cache/gantrain/pixels-\w+\.u8$", str(fault.value.where))
    assert [path.suffix for path in (tmp_path / "cache" / "gantrain").iterdir()] == [
        ".txt"
    ]  # the content's digest


def test_the_spec_decodes_nothing(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(b"not a picture")
    assert ImageFolder(root=str(tmp_path), channels=1, resolution=64).spec() == Spec((1, 64, 64))


@pytest.mark.parametrize("memory_limit", [4.0, 0.0])
def test_bad_files_are_skipped_and_reported(sorted_folder, capfd, memory_limit):
    clean, _ = everything(ImageFolder(root=str(sorted_folder), resolution=8).load(0))
    (sorted_folder / "ant" / "3.png").write_bytes(b"broken")
    (sorted_folder / "cat" / "5.png").write_bytes(b"")
    for _ in range(2):  # the second time, what is mapped is not decoded again
        data = ImageFolder(
            root=str(sorted_folder), resolution=8, bad_files="skip", memory_limit=memory_limit
        ).load(0)
        (line,) = [line for line in capfd.readouterr().err.splitlines() if "cannot be read" in line]
        assert "2 of 18 images" in line
        assert f"first {sorted_folder / 'ant' / '3.png'};" in line
    x, y = everything(data)
    assert len(x) == 16
    assert torch.bincount(y).tolist() == [5, 6, 5]
    before, after = (set(t.add(1).mul(127.5).round().to(int)[:, 0, 0, 0].tolist()) for t in (clean, x))
    assert before - after == {3, 165}


# What cannot be run ----------------------------------------------------------------------------------------------


def bomb(width: int, height: int) -> bytes:
    return chunked(width, height, 1, 0, bytes((width + 7) // 8 + 1) * min(height, 4))


def crc_broken(content: bytes) -> bytes:
    at = content.index(b"IDAT") + 4
    length = struct.unpack(">I", content[at - 8 : at - 4])[0]
    return content[: at + length] + bytes([content[at + length] ^ 1]) + content[at + length + 1 :]


GOOD_PNG, GOOD_JPEG = png(COLOUR), saved(Image.fromarray(COLOUR), "JPEG")
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touched) (w) file closefile\nshowpage\n%%EOF\n"
FLOATS = saved(Image.fromarray(np.linspace(0, 1, H * W, dtype=np.float32).reshape(H, W)), "TIFF")
BAD_FILES = {  # name of the file, its content, words of the complaint
    "zero bytes": ("x.png", b"", "is empty"),
    "HTML as JPEG": ("x.jpg", b"<!DOCTYPE html><html><body>404</body></html>", "is not a PNG"),
    "random bytes": ("x.png", noise(4000).tobytes(), "is not a PNG"),
    "text": ("x.webp", b"hello\n" * 100, "is not a PNG"),
    "PNG cut in half": ("x.png", GOOD_PNG[: len(GOOD_PNG) // 2], "cannot be read"),
    "PNG without its end": ("x.png", GOOD_PNG[:-12], "cannot be read"),
    "PNG header alone": ("x.png", GOOD_PNG[:33], "is not a PNG"),
    "PNG signature alone": ("x.png", GOOD_PNG[:8], "not"),
    "PNG with a bad check sum": ("x.png", crc_broken(GOOD_PNG), "cannot be read"),
    "PNG with a bad header sum": ("x.png", GOOD_PNG[:29] + b"\0\0\0\0" + GOOD_PNG[33:], "not"),
    "JPEG cut in half": ("x.jpg", GOOD_JPEG[: len(GOOD_JPEG) // 2], "cannot be read"),
    "JPEG header alone": ("x.jpg", GOOD_JPEG[:20], "not"),
    "WebP cut": ("x.webp", saved(Image.fromarray(COLOUR), "WEBP", lossless=True)[:-40], "not"),
    "BMP cut": ("x.bmp", saved(Image.fromarray(COLOUR), "BMP")[:-40], "cannot be read"),
    "GIF cut": ("x.gif", saved(Image.fromarray(GREY), "GIF")[:-80], "cannot be read"),
    "TIFF cut": ("x.tif", saved(Image.fromarray(COLOUR), "TIFF")[:-100], "not"),
    "bomb above Pillow's limit": ("x.png", bomb(30_000, 30_000), "declares more than"),
    "bomb below Pillow's limit": ("x.png", bomb(10_000, 12_000), "declares 10000 x 12000 pixels"),
    "EPS as PNG": ("x.png", EPS, "is not a PNG"),
    "PDF as PNG": ("x.png", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n", "is not a PNG"),
    "PPM as PNG": ("x.png", saved(Image.fromarray(COLOUR), "PPM"), "is not a PNG"),
    "one pixel": ("x.png", png(noise(1, 1)), "1 x 1 pixels, too few"),
    "a line of pixels": ("x.png", png(noise(1, 10_000)), "10000 x 1 pixels, too few"),
    "float TIFF": ("x.tiff", FLOATS, "floating point"),
    "32-bit TIFF": ("x.tiff", saved(Image.fromarray(np.full((H, W), 70_000, np.int32)), "TIFF"), "32-bit"),
    "a pickle": ("x.png", b"\x80\x04cposix\nsystem\n.", "is not a PNG"),
    "no access, or else no picture": ("locked.png", b"x", "locked.png"),
}


def nowhere(root: Path) -> None:
    shutil.rmtree(root)


def a_file(root: Path) -> None:
    shutil.rmtree(root)
    root.write_bytes(GOOD_PNG)


def only_text(root: Path) -> None:
    emptied(root)
    (root / "readme.txt").write_text("no pictures")


def emptied(root: Path) -> None:
    for path in root.iterdir():
        path.unlink()


def one_image(root: Path) -> None:
    emptied(root)
    fill(root, "only.png")


def three_bad_of_five(root: Path) -> None:
    for path in sorted(root.iterdir())[:3]:
        path.write_bytes(b"")


def loose_image(root: Path) -> None:
    fill(root, *(f"{label}/{i}.png" for label in "ab" for i in range(3)))


def unreadable_class(root: Path) -> None:
    emptied(root)
    fill(root, *(f"{label}/{i}.png" for label in "ab" for i in range(5)))
    for path in (root / "b").iterdir():
        path.write_bytes(b"broken")


def link_to(target: str) -> Callable[[Path], None]:
    return lambda root: (root / "x.png").symlink_to(target)


def nothing(_: Path) -> None:
    """Leave the five good pictures as they are."""


FOLDERS = {  # how the folder of five good pictures is changed, what is set, the place and words of the complaint
    "no such folder": (nowhere, {}, "ROOT", "does not exist"),
    "a file": (a_file, {}, "ROOT", "is neither a folder nor"),
    "an empty folder": (emptied, {}, "ROOT", "holds no image"),
    "only text": (only_text, {}, "ROOT", "holds no image"),
    "one image": (one_image, {}, "ROOT", "holds 1 image "),
    "too few that can be read": (three_bad_of_five, {"bad_files": "skip"}, "ROOT", "holds 2 images that can"),
    "an image beside classes": (loose_image, {}, "ROOT/good0.png", "lies next to class folders such as a"),
    "a class that cannot be read": (unreadable_class, {"bad_files": "skip"}, "ROOT/b", "can be read"),
    "a link to nothing": (link_to("gone.png"), {}, "ROOT/x.png", "No such file"),
    "a link to itself": (link_to("x.png"), {}, "ROOT/x.png", "cannot be read"),
}
OPTIONS = {  # what is set, the key that is named, words of the complaint
    "no root": ({"root": None}, "dataset.root", "set dataset.root"),
    "an empty root": ({"root": " "}, "dataset.root", "set dataset.root"),
    "too small": ({"resolution": 7}, "dataset.resolution", "at least 8"),
    "no size": ({"resolution": 0}, "dataset.resolution", "at least 8"),
    "not whole": ({"resolution": 32.5}, "dataset.resolution", "not a whole number"),
    "not a number": ({"resolution": "big"}, "dataset.resolution", "not a whole number"),
    "both sides in one": ({"resolution": "32x64"}, "dataset.resolution", "not a whole number"),
    "huge": ({"resolution": 10**9}, "dataset.resolution", "at most"),
    "too narrow": ({"width": 4}, "dataset.width", "at least 8"),
    "two channels": ({"channels": 2}, "dataset.channels", "choose from 1, 3, 4"),
    "no channels": ({"channels": 0}, "dataset.channels", "choose from 1, 3, 4"),
    "whiter than white": ({"background": 256}, "dataset.background", "at most 255"),
    "all held out": ({"holdout": 1.0}, "dataset.holdout", "below 1"),
    "another policy": ({"bad_files": "skp"}, "dataset.bad_files", "did you mean 'skip'?"),
    "another labelling": ({"labels": "csv"}, "dataset.labels", "choose from auto, none"),
    "a limit beyond Pillow's": ({"max_pixels": 10**9}, "dataset.max_pixels", "at most"),
    "a negative limit": ({"memory_limit": -1}, "dataset.memory_limit", "at least 0"),
    "an unknown key": ({"resize": 3}, "dataset.resize", "no such key"),
}
BROKEN = [
    *(
        pytest.param(
            lambda root, f=file: bad_file(root, *f[:2]), {}, f"ROOT/{file[0]}", file[2], DataError, id=case
        )
        for case, file in BAD_FILES.items()
    ),
    *(pytest.param(*row, DataError, id=case) for case, row in FOLDERS.items()),
    *(pytest.param(nothing, *row, ConfigError, id=case) for case, row in OPTIONS.items()),
]


def bad_file(root: Path, name: str, content: bytes) -> None:
    (root / name).write_bytes(content)
    if name.startswith("locked"):
        (root / name).chmod(0)


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder of five good pictures."""
    fill(tmp_path / "root", *(f"good{i}.png" for i in range(5)))
    return tmp_path / "root"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("change", "options", "where", "words", "kind"), BROKEN)
def test_what_cannot_be_run_is_one_line_that_names_file_or_key(change, options, where, words, kind, root):
    change(root)
    with pytest.raises(GantrainError) as fault:
        build("dataset", {"name": "image_folder", "root": str(root), "resolution": 8} | options).load(0)
    line = str(fault.value)
    assert type(fault.value) is kind
    assert fault.value.exit_code == {DataError: 3, ConfigError: 2}[kind]
    assert line.startswith(where.replace("ROOT", str(root)) + ": ")
    assert words in line
    assert "; " in line
    assert len(line.splitlines()) == 1


def test_bad_folder_cases_are_forty_from_a_good_one(root):
    assert len(BROKEN) >= 40
    assert len(ImageFolder(root=str(root), resolution=8).load(0).train) == 3


@pytest.mark.parametrize("case", BAD_FILES)
def test_each_bad_file_can_be_skipped(case, root, capfd):
    bad_file(root, *BAD_FILES[case][:2])
    data = ImageFolder(root=str(root), resolution=8, bad_files="skip").load(0)
    assert len(data.train) + len(data.holdout) == 5
    (said,) = capfd.readouterr().err.splitlines()
    assert "1 of 6 images" in said
    assert f"first {root / BAD_FILES[case][0]};" in said


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_damage_anywhere_gives_pixels_or_one_line(kind, tmp_path):
    content, dice = saved(Image.fromarray(COLOUR), kind), np.random.default_rng(0)
    path = tmp_path / "x.png"
    for _ in range(40):
        damaged = bytearray(content[: dice.integers(1, len(content) + 1)])
        for at in dice.integers(0, len(damaged), 4):
            damaged[at] = dice.integers(256)
        path.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                assert read(str(path), Target(3, (8, 8))).pixels.shape == (3, 8, 8)
            except DataError as error:
                assert str(error).startswith(f"{path}: ")  # noqa: PT017  (either is right)


# From the command line -------------------------------------------------------------------------------------------

WORDS = [
    "dataset=image_folder",
    "debug=tiny",
    "train.steps=2",
    "train.batch_size=8",
    "device=cpu",
    "dataset.resolution=16",
]


@pytest.mark.parametrize(
    "case", ["HTML as JPEG", "PNG with a bad check sum", "bomb below Pillow's limit", "float TIFF"]
)
def test_bad_file_exits_with_3_and_leaves_no_run(case, root, run_cli, tmp_path):
    bad_file(root, *BAD_FILES[case][:2])
    code, out, err = run_cli(*WORDS, f"dataset.root={root}")
    assert (code, out) == (3, "")
    assert err.startswith(f"gantrain: error: {root / BAD_FILES[case][0]}: ")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_the_command_says_how_many_files_it_skips(root, run_cli):
    for case in ("HTML as JPEG", "float TIFF"):
        bad_file(root, *BAD_FILES[case][:2])
    words = ["dataset.bad_files=skip", "train.batch_size=3", f"dataset.root={root}"]
    code, _, err = run_cli(*WORDS, *words)
    assert code == 0
    assert [line for line in err.splitlines() if line.startswith(f"gantrain: {root}: 2 of 7 images ")]


@pytest.mark.parametrize(
    ("words", "where"), [([], "dataset.root"), (["dataset.root=x", "dataset.channels=2"], "dataset.channels")]
)
def test_a_bad_value_ends_the_command_with_exit_2(words, where, run_cli):
    code, out, err = run_cli(*WORDS, *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"gantrain: error: {where}: ")
    assert err.count("\n") == 1


def icon(i: int) -> tuple[str, bytes]:
    """A picture of one of many sizes, modes and formats."""
    size = (16 + 8 * (i % 5), 16 + 4 * (i % 7))
    tile = Image.effect_noise(size, 80 + i)
    modes = ("RGBA", "P", "RGB", "L", "LA", "1", "CMYK", "I;16", "transparent palette", "YCbCr")
    mode = modes[i % len(modes)]
    if mode == "transparent palette":
        return f"{i}.png", saved(tile.convert("P"), "PNG", transparency=bytes(range(200)))
    if mode == "I;16":
        return f"{i}.png", saved(sixteen(np.asarray(tile).astype(np.uint16) * 257), "PNG")
    if mode == "YCbCr":
        return f"{i}.jpg", saved(tile.convert("YCbCr"), "JPEG")
    if mode == "RGBA":
        tile.putalpha(tile.rotate(90, expand=False))
    return f"{i}.{'tif' if mode == 'CMYK' else 'png'}", saved(
        tile.convert(mode), "TIFF" if mode == "CMYK" else "PNG"
    )


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_mix_of_healthy_icons_trains_without_a_complaint(channels, tmp_path, run_cli):
    folder = tmp_path / "icons"
    folder.mkdir()
    for i in range(60):
        name, content = icon(i)
        (folder / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code, _, err = run_cli(
            *WORDS, f"dataset.root={folder}", f"dataset.channels={channels}", "run.dir=run"
        )
    assert code == 0, err
    said = err.lower()
    assert not [word for word in ("warn", "error", "left out", "deprecat", "traceback") if word in said], err
    with Image.open(tmp_path / "run" / "samples" / "000002.png") as grid:
        assert grid.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]


def test_the_dataset_is_listed(run_cli):
    code, out, _ = run_cli("list", "datasets")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.split()[:1] == ["image_folder"]]
    assert "dataset.root=" in line
