"""dataset=hub: the images of Hugging Face's datasets, offline: of a local folder, Parquet files and its cache."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import noise, png

datasets = pytest.importorskip("datasets")

from gantrain.datasets.files.torchvision import downloads  # noqa: E402
from gantrain.datasets.hub import Hub  # noqa: E402
from gantrain.datasets.image_folder import ImageFolder  # noqa: E402
from gantrain.errors import DataError, GantrainError  # noqa: E402

COUNT, NAMES = 12, ["cat", "dog", "owl"]
IMAGES = [png(noise(9 + i, 9, 3)) for i in range(COUNT)]


def table(**more: list[object]) -> "datasets.Dataset":
    """Images with labels, and further columns."""
    columns = {
        "picture": [{"bytes": one, "path": None} for one in IMAGES],
        "kind": [i % 3 for i in range(COUNT)],
    }
    features = {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=NAMES)}
    rows = datasets.Dataset.from_dict(columns, datasets.Features(features))
    for name, values in more.items():
        rows = rows.add_column(name, values)
    return rows


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """A cache of datasets, and one of gantrain, of its own; no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_CACHE_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf" / "datasets")
    datasets.disable_progress_bars()
    return tmp_path / "hf"


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder by save_to_disk."""
    table().save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def load(**options: object) -> Hub:
    return Hub(resolution=8, **{key: str(value) for key, value in options.items()})


def everything(dataset: Hub | ImageFolder) -> tuple[torch.Tensor, torch.Tensor | None]:
    data = dataset.load(0)
    parts = [part.take(torch.arange(len(part))) for part in (data.train, data.holdout)]
    return torch.cat([x for x, _ in parts]), None if parts[0][1] is None else torch.cat([y for _, y in parts])


def test_hub_images_are_decoded_as_those_of_a_folder(root, tmp_path):
    (tmp_path / "folder").mkdir()
    for i, content in enumerate(IMAGES):
        (tmp_path / "folder" / f"{i:02}.png").write_bytes(content)
    expected, _ = everything(ImageFolder(root=str(tmp_path / "folder"), resolution=8))
    found, y = everything(load(root=root))
    assert torch.equal(found, expected)
    assert sorted(y.tolist()) == sorted(i % 3 for i in range(COUNT))
    assert load(root=root).load(0).summary == "12 images, 3 classes (cat 4, dog 4, owl 4)"


def parquet(folder: Path) -> dict[str, object]:
    folder.mkdir()
    table().to_parquet(str(folder / "train-00000-of-00001.parquet"))
    table().select(range(4)).to_parquet(str(folder / "test-00000-of-00001.parquet"))
    return {"root": folder}


def saved_parts(folder: Path) -> dict[str, object]:
    parts = datasets.DatasetDict(train=table(), test=table().select(range(4)))
    parts.save_to_disk(str(folder))
    return {"root": folder}


def cached(folder: Path) -> dict[str, object]:
    """The cache as a download of owner/pets leaves it."""
    made = parquet(folder)
    files = {split: str(made["root"] / f"{split}-00000-of-00001.parquet") for split in ("train", "test")}
    datasets.load_dataset("parquet", data_files=files)
    cache = datasets.config.HF_DATASETS_CACHE
    (version,) = [path.parent for path in cache.glob("parquet/*/*/*/dataset_info.json")]
    place = cache / "owner___pets" / "default" / "0.0.0" / version.name
    shutil.copytree(version, place)
    for path in place.glob("parquet-*"):
        path.rename(place / path.name.replace("parquet-", "pets-"))
    info = place / "dataset_info.json"
    info.write_text(info.read_text().replace('"dataset_name": "parquet"', '"dataset_name": "pets"'))
    return {"repository": "owner/pets"}


@pytest.mark.parametrize("source", [parquet, saved_parts, cached])
def test_hub_reads_parquet_saved_parts_and_the_cache(source, root, tmp_path):
    where = source(tmp_path / "source")
    expected, y = everything(load(root=root))
    found, labels = everything(load(**where))
    assert torch.equal(found, expected)
    assert torch.equal(labels, y)
    assert len(load(**where, split="test").files.entries) == 4


@pytest.mark.parametrize("label, classes", [(None, 3), ("none", 0), ("word", 2), ("number", 4)])
def test_hub_classes_are_of_the_column_that_is_named(label, classes, tmp_path):
    more = {"word": ["b", "a"] * 6, "number": [7, 3, 5, 9] * 3}
    table(**more).save_to_disk(str(tmp_path / "saved"))
    dataset = Hub(root=str(tmp_path / "saved"), label=label, resolution=8)
    assert dataset.spec().classes == classes
    if label == "word":
        assert dataset.content.classes == ["a", "b"]
        assert dataset.content.y.tolist() == [1, 0] * 6


def test_hub_rows_are_stored_and_found_again(root, monkeypatch):
    monkeypatch.setattr("gantrain.datasets.files.image_cache.STORED_FILES", COUNT)
    first, _ = everything(load(root=root))
    monkeypatch.setattr("gantrain.datasets.files.image_file.read", None)  # nothing is decoded again
    assert torch.equal(everything(load(root=root))[0], first)


def test_changed_rows_are_other_data(root, tmp_path):
    table().select([*range(1, COUNT), 0]).save_to_disk(str(tmp_path / "turned"))
    assert load(root=root).files.summary != load(root=tmp_path / "turned").files.summary
    assert load(root=root).files.summary == load(root=root).files.summary


def test_stranger_names_no_download(monkeypatch):
    asked: list[bool] = []

    def load_dataset(*_: object, **__: object) -> None:
        asked.append(datasets.config.HF_HUB_OFFLINE)
        raise ConnectionError

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with downloads(False), pytest.raises(DataError, match="is not in the cache of datasets"):
        load(repository="owner/pets").spec()
    assert asked == [True]
    with pytest.raises(DataError, match="the Hub cannot be reached"):
        load(repository="owner/pets").spec()  # named by the user: the cache first, then the Hub
    assert asked == [True, True, False]
    assert not datasets.config.HF_HUB_OFFLINE


def test_row_that_names_a_file_elsewhere_reads_nothing(tmp_path):
    from pyarrow import parquet as files

    def link(folder: Path, place: Path) -> Path:
        """A folder of Parquet files whose rows name a file; ``datasets`` itself would store its bytes."""
        columns = {"picture": [{"bytes": None, "path": str(place)}] * COUNT}
        rows = datasets.Dataset.from_dict(columns, datasets.Features({"picture": datasets.Image()}))
        folder.mkdir()
        files.write_table(rows.data.table, folder / "x.parquet")
        return folder

    (tmp_path / "own.png").write_bytes(IMAGES[0])
    for victim in (tmp_path / "own.png", Path("/etc/passwd"), tmp_path / "a" / ".." / "own.png"):
        with pytest.raises(DataError, match="row 0: names a file outside of its data set"):
            load(root=link(tmp_path / victim.name.replace(".", str(len(victim.parts))), victim)).load(0)
    inside = link(tmp_path / "inside", tmp_path / "inside" / "own.png")
    shutil.copy(tmp_path / "own.png", inside)
    dataset = load(root=inside)
    assert len(dataset.load(0).train) == COUNT - 2
    assert {file.size for file in dataset.content.source.listing.files} == {len(IMAGES[0])}


def broken(folder: Path) -> None:
    columns = {"picture": [{"bytes": b"x", "path": None}, None] + [{"bytes": b"", "path": None}] * 4}
    datasets.Dataset.from_dict(columns, datasets.Features({"picture": datasets.Image()})).save_to_disk(
        str(folder)
    )


def save_others(folder: Path) -> None:
    """Data sets that are refused, by the names of their folders."""
    rows = table()
    rows.save_to_disk(str(folder / "good"))
    datasets.DatasetDict(train=rows, test=rows).save_to_disk(str(folder / "parts"))
    datasets.Dataset.from_dict({"a": [1] * 9}).save_to_disk(str(folder / "numbers"))
    others = rows.rename_columns({"picture": "other", "kind": "sort"})
    datasets.concatenate_datasets([rows, others], axis=1).save_to_disk(str(folder / "two"))
    shutil.copytree(folder / "good", folder / "damaged")
    for path in (folder / "damaged").glob("*.arrow"):
        path.write_bytes(path.read_bytes()[:100])
    columns = {"picture": [{"bytes": b"x", "path": None}, None] + [{"bytes": b"", "path": None}] * 4}
    features = datasets.Features({"picture": datasets.Image()})
    datasets.Dataset.from_dict(columns, features).save_to_disk(str(folder / "broken"))
    (folder / "empty").mkdir()


REFUSED: dict[str, tuple[dict[str, str], str]] = {  # options, and words of the complaint
    "neither": ({}, "dataset.repository and dataset.root: name neither or both"),
    "both": ({"repository": "a/b", "root": "good"}, "name neither or both"),
    "a folder as a repository": ({"repository": "good"}, "is no name on the Hub; set dataset.root"),
    "a path as a repository": ({"repository": "../a/b"}, "is no name on the Hub; set dataset.root"),
    "no such folder": ({"root": "none"}, "is no folder"),
    "an empty folder": ({"root": "empty"}, "neither a data set that save_to_disk wrote nor .parquet files"),
    "not in the cache": ({"repository": "owner/none"}, "not in the cache of datasets, and the Hub cannot"),
    "no such part": (
        {"root": "parts", "split": "valid"},
        "has no split 'valid'; set dataset.split to one of train,",
    ),
    "no such column": (
        {"root": "good", "image": "photo"},
        "dataset.image: 'photo' is no column of kind Image",
    ),
    "numbers as images": (
        {"root": "good", "image": "kind"},
        "'kind' is no column of kind Image; choose from picture",
    ),
    "no column of images": ({"root": "numbers"}, "holds images, of a; take another data set"),
    "two columns of images": ({"root": "two"}, "dataset.image: could be any of picture, other; name one"),
    "no such label": ({"root": "good", "label": "class"}, "dataset.label: 'class' is no column; choose from"),
    "images as labels": ({"root": "good", "label": "picture"}, "holds neither words nor whole numbers"),
    "a damaged file": ({"root": "damaged"}, "cannot be loaded ("),
    "bad images": ({"root": "broken"}, "row 0: is not a PNG"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_hub_data_that_cannot_be_read_are_one_line(case, tmp_path, monkeypatch):
    save_others(tmp_path)
    monkeypatch.chdir(tmp_path)
    options, words = REFUSED[case]
    with pytest.raises(GantrainError) as fault:
        load(**options).load(0)
    assert words in str(fault.value)
    assert "\n" not in str(fault.value)


def test_absent_package_is_one_line_with_its_command(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        DataError, match=r"needs the package datasets, which is not installed; pip install 'gantrain\[hub\]'"
    ):
        load(root=root).spec()


@pytest.mark.slow
def test_run_on_hub_data_goes_on_from_another_folder(root, run_cli, tmp_path, monkeypatch):
    words = ["debug=tiny", "train.steps=1", "train.batch_size=4", "device=cpu", "dataset.resolution=8"]
    monkeypatch.chdir(tmp_path)
    code, out, err = run_cli(
        "dataset=hub", "dataset.root=saved", "objective=conditional", *words, "run.dir=run"
    )
    assert code == 0, err
    assert "12 images, 3 classes (cat 4, dog 4, owl 4)" in out + err
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    assert run_cli("resume", "../run", "train.steps=2")[0] == 0
    assert os.listdir() == []
    assert np.isfinite(everything(load(root=root))[0].numpy()).all()
