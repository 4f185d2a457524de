"""Images in a ZIP or a tar: the same data as in the folder that it was made of, without a file that is unpacked."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from archive_files import ARCHIVES, tar_bytes, zip_bytes
from picture_files import noise, png

from gantrain.datasets.files.archives import ImagesOfArchive
from gantrain.datasets.files.image_sources import open_images
from gantrain.datasets.image_folder import ImageFolder
from gantrain.errors import DataError


def picture(value: int) -> bytes:
    return png(np.full((12, 12, 3), value, np.uint8))


FILES = {f"{kind}/{i}.png": picture(100 * label + i) for label, kind in enumerate("ab") for i in range(5)}


@pytest.fixture
def made(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Return ``f(kind, files)``: an archive of that suffix, or the folder itself, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(kind: str, files: dict[str, bytes] = FILES) -> Path:
        path = tmp_path / f"photos{kind}"
        if kind:
            path.write_bytes(ARCHIVES[kind](files))
            return path
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return path

    return make


def dataset(root: Path | str, **options: object) -> ImageFolder:
    return ImageFolder(root=str(root), resolution=8, **options)


@pytest.mark.parametrize("memory_limit", [4.0, 0.0])
@pytest.mark.parametrize("kind", ARCHIVES)
def test_archive_is_bit_for_bit_its_folder(kind, memory_limit, made, tmp_path):
    folder, archive = dataset(made("")), dataset(made(kind), memory_limit=memory_limit)
    assert archive.files == folder.files  # so that a run goes on with either
    expected, found = folder.load(3), archive.load(3)
    assert found.spec == expected.spec
    assert found.summary == expected.summary
    for part in ("train", "holdout"):
        index = torch.arange(len(getattr(expected, part)))
        for a, b in zip(getattr(expected, part).take(index), getattr(found, part).take(index), strict=True):
            assert torch.equal(a, b)
    assert {path.name for path in tmp_path.iterdir()} <= {"photos", f"photos{kind}", "cache"}


@pytest.mark.parametrize("kind", [".zip", ".tar"])
@pytest.mark.parametrize("top", ["photos/", "./photos/train/", ""])
def test_names_begin_where_all_images_lie(kind, top, made):
    files = {top + name: content for name, content in FILES.items()}
    extra = {"__MACOSX/._0.png": b"x", f"{top}c/": b"", f"{top}.hidden/1.png": b"x", "read.me": b"x"}
    found = open_images(str(made(kind, extra | files)))
    assert [file.name for file in found.listing.files] == sorted(FILES)
    assert found.listing.others == {".me": 1}
    assert {"a", "b", "c"} <= {*found.listing.folders}


@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
def test_root_may_be_a_folder_in_an_archive(kind, made):
    files = {f"data/{part}/{name}": content for part in ("train", "test") for name, content in FILES.items()}
    root = made(kind, files)
    with pytest.raises(DataError, match="holds parts of a dataset") as fault:
        dataset(root).spec()
    assert f"dataset.root={root}/data/train" in fault.value.remedy
    assert dataset(root / "data" / "train").spec().classes == 2
    assert len(dataset(root, labels="none").files.entries) == 20
    with pytest.raises(DataError, match="does not exist in the archive"):
        dataset(root / "data" / "valid").spec()


@pytest.mark.parametrize("mark", ["gantrain.log", ".hydra/config.yaml", "sweep.json"])
def test_runs_in_an_archive_are_left_out(mark, made):
    found = open_images(str(made(".zip", FILES | {f"run/{mark}": b"", "run/samples/1.png": b"x"})))
    assert [file.name for file in found.listing.files] == sorted(FILES)
    assert found.listing.outputs == ["run"]
    with pytest.raises(DataError, match="is the folder of a run"):
        open_images(str(made(".tar", FILES | {mark: b""})))


def test_archive_is_known_by_its_bytes_not_its_suffix(made, tmp_path):
    odd = tmp_path / "photos.data"
    for content in (zip_bytes(FILES), tar_bytes(FILES), tar_bytes(FILES, "w:gz")):
        odd.write_bytes(content)
        assert len(dataset(odd).files.entries) == 10


def test_archive_attributes_are_found_by_name(made, tmp_path):
    rows = "".join(f"{name},{i}\n" for i, name in enumerate(sorted(FILES)))
    (tmp_path / "rows.csv").write_text(f"file,age\n{rows}")
    data = dataset(made(".zip"), attributes=str(tmp_path / "rows.csv"))
    assert data.content.y.flatten().tolist() == list(range(10))


def test_archive_is_read_by_threads_at_once(made):
    files = {f"{i}.png": png(noise(16 + i % 7, 16, 3)) for i in range(200)}
    source = open_images(str(made(".zip", files)))
    assert isinstance(source, ImagesOfArchive)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: source.open(name, 10**6).read(), [*files] * 3))
    assert found == [*files.values()] * 3


def test_packed_tar_is_unpacked_once(made, tmp_path):
    root = made(".tar.gz")
    dataset(root).load(0)
    (tar,) = (tmp_path / "cache" / "gantrain").glob("archive-*.tar")
    before = tar.stat().st_mtime_ns
    dataset(root).load(0)
    assert tar.stat().st_mtime_ns == before
    assert [path.name for path in tar.parent.iterdir()] == [tar.name]


def test_run_on_an_archive_has_its_classes(made, run_cli):
    words = ["debug=tiny", "train.steps=1", "train.batch_size=4", "device=cpu", "dataset.resolution=8"]
    root = made(".zip", {f"photos/train/{name}": content for name, content in FILES.items()})
    code, out, err = run_cli("dataset=image_folder", f"dataset.root={root}", *words, "run.dir=run")
    assert code == 0, err
    assert "10 images, 2 classes (a 5, b 5)" in out + err
