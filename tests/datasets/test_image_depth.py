"""Pictures of 16 bits a channel: each level by the stated rule, at the depth of the data; a line if they are black."""

from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import noise, png, png16, saved, sixteen, tiff16
from PIL import Image

from gantrain.datasets.files.image_file import Target, read
from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import ConfigError, DataError, GantrainError

H, W = 10, 14
EXACT = 0.5 + 1e-9  # of a level: rounding
KINDS = {  # files of levels [H, W, C] by their number of channels
    "PNG": png16,
    "TIFF": lambda levels: tiff16(levels, {1: 1, 3: 2, 4: 2}[levels.shape[2]]),
    "big-endian TIFF": lambda levels: tiff16(levels, {1: 1, 3: 2, 4: 2}[levels.shape[2]], ">"),
    "deflated TIFF": lambda levels: tiff16(levels, {1: 1, 3: 2, 4: 2}[levels.shape[2]], deflated=True),
    "deflated big-endian TIFF": lambda levels: tiff16(levels, {1: 1, 3: 2, 4: 2}[levels.shape[2]], ">", True),
}


def levels(channels: int, bits: int = 16) -> np.ndarray:
    """Levels [H, W, C] of so many bits, the extremes among them."""
    found = noise(H, W, channels, top=2**bits, dtype=np.uint16)
    found[0, 0], found[0, 1], found[0, 2], found[0, 3] = 0, 2**bits - 1, 255, 128
    return found


def pixels(folder: Path, content: bytes, channels: int, **target: object) -> np.ndarray:
    """What a file of this content becomes at its own size, [H, W, C], as numbers that can be subtracted."""
    path = folder / "picture"
    path.write_bytes(content)
    return read(str(path), Target(channels, (H, W), **target)).pixels.transpose(1, 2, 0).astype(float)


@pytest.mark.parametrize("depth", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_levels_are_scaled_by_the_depth_of_the_data(kind, channels, depth, tmp_path):
    values = levels(channels, depth)
    found = pixels(tmp_path, KINDS[kind](values), channels, depth=depth)
    assert np.abs(found - values * (255 / (2**depth - 1))).max() <= EXACT
    assert {found.min(), found.max()} == {0, 255}


@pytest.mark.parametrize("depth", [10, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_alpha_of_16_bits_is_scaled_by_all_of_them(kind, depth, tmp_path):
    values = levels(4, depth)
    values[:, :, 3] = noise(H, W, top=65536, dtype=np.uint16) | 256  # nothing is quite transparent
    found = pixels(tmp_path, KINDS[kind](values), 4, depth=depth)
    assert np.abs(found[:, :, :3] - values[:, :, :3] * (255 / (2**depth - 1))).max() <= EXACT
    assert np.abs(found[:, :, 3] - values[:, :, 3] / 257).max() <= EXACT


@pytest.mark.parametrize("depth", [10, 16])
def test_grey_with_alpha_of_16_bits_keeps_both(depth, tmp_path):
    values = levels(2, depth)
    values[:, :, 1] = noise(H, W, top=65536, dtype=np.uint16) | 256
    found = pixels(tmp_path, png16(values), 4, depth=depth)
    assert np.abs(found[:, :, :3] - values[:, :, :1] * (255 / (2**depth - 1))).max() <= EXACT
    assert np.abs(found[:, :, 3] - values[:, :, 1] / 257).max() <= EXACT


def test_a_clear_colour_of_16_bits_is_that_colour_alone(tmp_path):
    values = np.full((H, W, 3), 30_000, np.uint16)
    values[0] = 30_001, 30_001, 30_001  # the same in 8 bits
    clear = (b"tRNS", values[0, 0].astype(">u2").tobytes())
    found = pixels(tmp_path, png16(values, clear), 3, background=9)
    assert (found[0] == 9).all()
    assert (found[1:] == round(30_000 / 257)).all()


def test_cmyk_of_16_bits_keeps_its_low_bytes(tmp_path):
    ink = levels(4)
    found = pixels(tmp_path, tiff16(ink, 5), 3)
    light = (65535.0 - ink) / 257
    assert np.abs(found - light[:, :, :3] * light[:, :, 3:] / 255).max() <= 1.51  # rounded thrice


def test_planes_of_16_bits_are_right_or_refused(tmp_path):
    values = levels(3)
    found = pixels(tmp_path, tiff16(values, 2, planes=True, deflated=True), 3)
    assert np.abs(found - values / 257).max() < 1
    with pytest.raises(DataError, match="uncompressed planes of 16 bits"):
        pixels(tmp_path, tiff16(values, 2, planes=True), 3)


def test_depth_changes_nothing_in_files_of_8_bits(tmp_path):
    for content in (png(noise(H, W, 3)), png(noise(H, W)), saved(Image.fromarray(noise(H, W, 3)), "TIFF")):
        assert (pixels(tmp_path, content, 3, depth=10) == pixels(tmp_path, content, 3)).all()


def test_16_bit_files_are_turned_as_their_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    values = levels(3)
    upright = pixels(tmp_path, png16(values), 3)
    turned = pixels(tmp_path, png16(values, (b"eXIf", exif.tobytes()[6:])), 3)
    assert (turned == np.rot90(upright, 2)).all()


# Whole folders ---------------------------------------------------------------------------------------------------


def fill(root: Path, bits: int, channels: int = 1, count: int = 6) -> Path:
    """A folder of noise of so many bits in files of 16."""
    root.mkdir()
    for i in range(count):
        values = np.random.default_rng(i).integers(0, 2**bits, (16, 16, channels)).astype(np.uint16)
        values[0, 0] = 2**bits - 1
        (root / f"{i}.png").write_bytes(png16(values))
    return root


def lines_of(capfd, root: Path, **options: object) -> list[str]:
    ImageFolder(root=str(root), **{"resolution": 8, "channels": 1} | options).load(0)
    return capfd.readouterr().err.splitlines()


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
def test_data_of_few_bits_are_announced_with_their_depth(bits, channels, tmp_path, capfd):
    root = fill(tmp_path / "x", bits, channels)
    (line,) = lines_of(capfd, root, resolution=16, channels=channels)
    brightest = round((2**bits - 1) / 257)
    assert line.startswith(f"gantrain: {root}: pixels use {brightest + 1} of 256 levels (0 to {brightest}); ")
    assert f"; set dataset.depth={bits}: " in line
    assert f"is {2**bits - 1}" in line
    assert lines_of(capfd, root, depth=str(bits), channels=channels) == []


@pytest.mark.parametrize("memory_limit", [4.0, 0.0])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_depth_auto_takes_the_depth_that_holds_the_data(bits, memory_limit, tmp_path, capfd):
    root = fill(tmp_path / "x", bits)
    options = dict(root=str(root), resolution=8, channels=1, memory_limit=memory_limit)
    found = ImageFolder(**options, depth="auto").load(0)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"gantrain: {root}: dataset.depth=auto takes {bits} bits; ")
    assert line.endswith(f"the largest level of its 16-bit files is {2**bits - 1}")
    stated = ImageFolder(**options, depth=str(bits)).load(0)
    every = torch.arange(len(stated.train))
    assert (found.train.take(every)[0] == stated.train.take(every)[0]).all()


def test_depth_auto_without_16_bit_files_changes_nothing(tmp_path, capfd):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(png((noise(16, 16, 3) + i).astype(np.uint8)))
    (line,) = lines_of(capfd, tmp_path, depth="auto")
    assert line == f"gantrain: {tmp_path}: dataset.depth=auto takes 16 bits; in a sample no file has 16"
    found, plain = (ImageFolder(root=str(tmp_path), depth=depth).load(0).train.x for depth in ("auto", "16"))
    assert (found == plain).all()


@pytest.mark.parametrize("bad_files", ["error", "skip"])
def test_a_level_above_the_depth_is_never_cut_off(bad_files, tmp_path):
    root = fill(tmp_path / "x", 12)
    with pytest.raises(ConfigError) as fault:
        ImageFolder(root=str(root), resolution=8, channels=1, depth="10", bad_files=bad_files).load(0)
    assert str(fault.value) == (
        f"dataset.depth: {root / '0.png'} has level 4095, more than 10 bits hold; set dataset.depth=12"
    )


FLAT = {  # pictures that show nothing, options, and what is reported
    "black": (lambda i: np.zeros((9, 9, 3)), {}, "pixels use 1 of 256 levels (0 to 0)"),
    "white": (lambda i: np.full((9, 9, 3), 255), {}, "pixels use 1 of 256 levels (255 to 255)"),
    "class numbers": (lambda i: noise(9, 9, top=5), {}, "pixels use 5 of 256 levels (0 to 4)"),
    "constant": (lambda i: np.full((9, 9, 3), (40 * i, 0, 255)), {}, "each image is of one colour"),
    "black over black": (lambda i: np.dstack([np.zeros((9, 9, 3)), noise(9, 9)]), {}, "pixels use 1 of 256"),
    "opaque": (
        lambda i: np.full((9, 9, 4), (5, 5, 5, 255)),
        {"channels": 4},
        "pixels use 1 of 256 levels (5 to 5)",
    ),
}


@pytest.mark.parametrize("memory_limit", [4.0, 0.0])
@pytest.mark.parametrize("case", FLAT)
def test_pictures_that_show_nothing_are_announced(case, memory_limit, tmp_path, capfd):
    picture, options, words = FLAT[case]
    for i in range(6):
        (tmp_path / f"{i}.png").write_bytes(png(picture(i).astype(np.uint8)))
    (line,) = lines_of(
        capfd, tmp_path, **{"channels": 3, "resolution": 9, "memory_limit": memory_limit} | options
    )
    assert line.startswith(f"gantrain: {tmp_path}: {words}")
    assert ("dataset.background" in line) == (options.get("channels") != 4)


SHOWING = {  # pictures that show something, though little of it
    "two levels": (lambda i: 255 * noise(9, 9, top=2), {}),
    "black on clear": (lambda i: np.dstack([np.zeros((9, 9, 3)), noise(9, 9)]), {"channels": 4}),
    "black on white": (lambda i: np.dstack([np.zeros((9, 9, 3)), noise(9, 9)]), {"background": 255}),
    "one of six": (lambda i: noise(9, 9, 3) * (i == 5), {}),
}


@pytest.mark.parametrize("case", SHOWING)
def test_pictures_that_show_something_are_not_announced(case, tmp_path, capfd):
    picture, options = SHOWING[case]
    for i in range(6):
        (tmp_path / f"{i}.png").write_bytes(png(picture(i).astype(np.uint8)))
    assert lines_of(capfd, tmp_path, **{"channels": 3, "resolution": 9} | options) == []


def test_depth_sample_is_bounded_and_spread_over_the_folder(tmp_path, monkeypatch):
    root = fill(tmp_path / "x", 10, count=200)
    seen = []
    monkeypatch.setattr(
        "gantrain.datasets.files.image_file.largest_level", lambda path, *_: seen.append(path)
    )
    ImageFolder(root=str(root), resolution=8, channels=1, depth="auto").load(0)
    assert len(set(seen)) == len(seen) == 64
    assert {str(root / "0.png"), str(root / "99.png")} <= set(seen)  # the first and the last by name


def test_depth_is_refused_unless_it_is_a_choice(tmp_path, run_cli):
    root = fill(tmp_path / "x", 10)
    for depth in ("9", "deep"):
        code, _, err = run_cli(
            "dataset=image_folder", f"dataset.root={root}", f"dataset.depth={depth}", "debug=tiny"
        )
        assert code == 2
        assert err.startswith("gantrain: error: dataset.depth: ")
        assert err.count("\n") == 1


def test_sixteen_bit_errors_name_the_file(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(saved(sixteen(levels(1)[:, :, 0]), "PNG")[:-30])
    with pytest.raises(GantrainError) as fault:
        read(str(path), Target(1, (H, W)))
    assert str(fault.value).startswith(f"{path}: cannot be read (")
