"""Sets of pictures without a run: what they are read from, their shapes, and what cannot be compared."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantrain.datasets.files.picture_set import common_shape, open_pictures
from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import GantrainError

NOISE = np.random.default_rng(0).integers(0, 256, (8, 8, 8), dtype=np.uint8)


@pytest.fixture
def broken(tmp_path) -> Path:
    """Sets that cannot be compared."""
    for name in ("empty", "few", "mixed", "damaged", "parts/train", "parts/test", "run", "sweep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "sweep" / "sweep.json").write_text("{}")
    for i, pixels in enumerate(NOISE):
        image = Image.fromarray(pixels)
        image.save(tmp_path / "damaged" / f"{i}.png")
        image.save(tmp_path / "parts" / ("train" if i % 2 else "test") / f"{i}.png")
        image.resize((8 + i // 6, 8)).save(tmp_path / "mixed" / f"{i}.png")
        if i < 3:
            image.save(tmp_path / "few" / f"{i}.png")
    content = (tmp_path / "damaged" / "3.png").read_bytes()
    (tmp_path / "damaged" / "3.png").write_bytes(content[: len(content) // 2])
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        for i in range(5):
            for name in (f"../{i}.png", f"/tmp/{i}.png"):
                archive.writestr(zipfile.ZipInfo(name), (tmp_path / "mixed" / f"{i}.png").read_bytes())
    (tmp_path / "torn.zip").write_bytes((tmp_path / "out.zip").read_bytes()[:300])
    (tmp_path / "text.npz").write_text("no arrays")
    np.save(tmp_path / "single.npy", NOISE[:3])
    return tmp_path


@pytest.mark.parametrize(
    ("root", "code", "problem"),
    [
        ("nowhere", 3, "does not exist; give a folder of pictures"),
        ("nowhere.npz", 3, "does not exist; give a folder of pictures"),
        ("nowhere.zip", 3, "does not exist; give a folder of pictures"),
        ("empty", 3, "holds no image"),
        ("few", 3, "holds 3 images"),
        ("single.npy", 3, "holds 3 pictures; add some"),
        ("mixed", 3, "2 sizes: 6 of 8 x 8 pixels, 2 of 9 x 8 pixels; resize all by dataset.resolution=8"),
        ("damaged", 3, "3.png"),
        ("parts", 3, "parts of a dataset"),
        ("run", 2, "run n=1000 out=samples.npz"),
        ("sweep", 2, "is the folder of a run"),
        ("out.zip", 3, "out of the archive"),
        ("torn.zip", 3, "torn.zip"),
        ("text.npz", 3, "cannot be read"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(broken, root, code, problem):
    before = sorted(broken.rglob("*"))

    def load() -> None:
        found = open_pictures(str(broken / root), ImageFolder())
        found.load((1, *found.size))

    with pytest.raises(GantrainError) as caught:
        load()
    assert caught.value.exit_code == code
    assert problem in str(caught.value)
    assert "dataset.root" not in str(caught.value)
    assert sorted(broken.rglob("*")) == before


def test_damaged_pictures_are_left_out_on_request(broken, capfd):
    found = open_pictures(str(broken / "damaged"), ImageFolder(bad_files="skip"))
    assert len(found.load((1, 8, 8)).split) == 7
    assert "3.png" in capfd.readouterr().err


def test_files_and_arrays_are_the_same_pictures(tmp_path):
    """In the order of the files' own names, whatever their class, and of the array."""
    colour = np.stack([NOISE, NOISE[::-1], 255 - NOISE], 3)  # [N, H, W, C]
    for i, pixels in enumerate(colour):
        (tmp_path / "files" / str(i % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "files" / str(i % 2) / f"{i}.png")
    np.savez(tmp_path / "arrays.npz", x=colour, y=np.arange(8) % 2)
    sets = [open_pictures(str(tmp_path / name), ImageFolder()) for name in ("files", "arrays.npz")]
    shape = common_shape(sets, {})
    assert shape == (3, 8, 8)
    files, arrays = (found.load(shape) for found in sets)
    rows = torch.arange(8)
    for mine, theirs in zip(files.split.select(rows), arrays.split.select(rows), strict=True):
        assert torch.equal(mine, theirs)
    assert [*files.classes] == [*arrays.classes] == ["0", "1"]


def test_an_image_turned_by_its_exif_has_the_size_that_it_shows(tmp_path):
    for i, pixels in enumerate(NOISE):
        exif = Image.Exif()
        exif[274] = 6
        Image.fromarray(pixels).resize((12, 8)).save(tmp_path / f"{i}.png", exif=exif)
    found = open_pictures(str(tmp_path), ImageFolder())
    assert found.size == (12, 8)
    assert found.load((1, 12, 8)).split.x.shape == (8, 1, 12, 8)
