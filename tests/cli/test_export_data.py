"""``gantrain export-data``: the real samples of a run, as other programs read them."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantrain.cli.main import main
from gantrain.core.spec import ConditionSpec, Spec
from gantrain.datasets.base import Split
from gantrain.datasets.digits import Digits
from gantrain.datasets.image_folder import ImageFolder
from gantrain.sampling.images import to_uint8
from gantrain.sampling.write_data import choose, class_names, write_data

SMALL = ("train.steps=1", "metric=none", "train.sample_every=0", "model.width=8", "train.batch_size=8")


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """The run of one step."""
    folder = tmp_path_factory.mktemp("digits") / "run"
    assert main([*SMALL, f"run.dir={folder}"]) == 0
    return folder


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {str(path.relative_to(folder)): np.array(Image.open(path)) for path in folder.rglob("*.png")}


@pytest.mark.parametrize("split", ["holdout", "train"])
def test_export_data_writes_each_sample_once(digits, run_cli, tmp_path, split):
    code, out, _ = run_cli("export-data", digits, "real", f"split={split}")
    assert (code, out) == (0, "real\n")
    part = getattr(Digits().load(0), split)
    found = pictures(tmp_path / "real")
    x, y = part.take(torch.arange(len(part)))
    assert len(found) == len(part)
    for name, pixels in found.items():
        label, number = name.split("/")
        assert int(label) == y[int(number.removesuffix(".png"))]
        assert (pixels == to_uint8(x).numpy()[int(number.removesuffix(".png")), :, :, 0]).all()


def test_exported_data_read_again_are_the_same_bytes(digits, run_cli, tmp_path):
    """Written once as PNGs, read, and written again as an array: 8 bits hold what 8 bits held."""
    assert run_cli("export-data", digits, "first")[0] == 0
    words = ("dataset=image_folder", "dataset.root=first", "dataset.resolution=8", "dataset.channels=1")
    assert run_cli(*words, *SMALL, "run.dir=again")[0] == 0
    for split in ("train", "holdout"):
        assert run_cli("export-data", "again", f"{split}.npz", f"split={split}")[0] == 0
    parts = [np.load(tmp_path / f"{split}.npz") for split in ("train", "holdout")]
    again = sorted(pixels[:, :, 0].tobytes() for part in parts for pixels in part["x"])
    assert again == sorted(pixels.tobytes() for pixels in pictures(tmp_path / "first").values())
    assert sum(len(part["y"]) for part in parts) == len(again) == len(pictures(tmp_path / "first"))


def test_export_data_takes_the_samples_of_an_evaluation(digits, run_cli, tmp_path):
    assert run_cli("export-data", digits, "some.npz", "n=20")[0] == 0
    holdout = Digits().load(0).holdout
    order = torch.randperm(len(holdout), generator=torch.Generator().manual_seed(0))[:20]
    assert torch.equal(choose(holdout, 20, 0), order.sort().values)
    expected = to_uint8(holdout.take(order.sort().values)[0]).numpy()
    assert (np.load(tmp_path / "some.npz")["x"] == expected).all()


def test_export_data_of_points_and_tables(run_cli, tmp_path):
    assert run_cli("dataset=ring", "dataset.n=100", "dataset.n_holdout=50", *SMALL, "run.dir=ring")[0] == 0
    assert run_cli("export-data", "ring", "points.npz")[0] == 0
    found = np.load(tmp_path / "points.npz")
    assert (found["x"].shape, found["y"].shape) == ((50, 2), (50,))
    code, _, error = run_cli("export-data", "ring", "points")
    assert code == 2
    assert "end it in .npz" in error


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("RUN",), 2, "takes a run and the place of its data"),
        (("RUN", "a", "b"), 2, "takes a run and the place of its data"),
        (("RUN", "full"), 2, "is not empty"),
        (("RUN", "full/file.npz"), 2, "exists"),
        (("RUN", "grid.png"), 2, "is not a file format for pictures"),
        (("RUN", "a", "split=test"), 2, "holdout, train"),
        (("RUN", "a", "n=0"), 2, "n:"),
        (("RUN", "a", "number=3"), 2, "number"),
        (("RUN", "a", "--split", "train"), 2, "write split=VALUE"),
        (("nowhere", "a"), 4, "nowhere"),
    ],
)
def test_export_data_refuses(digits, run_cli, tmp_path, words, code, problem):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file.npz").write_bytes(b"mine")
    found, out, error = run_cli("export-data", *(digits if word == "RUN" else word for word in words))
    assert (found, out) == (code, "")
    assert problem in error
    assert error.count("\n") == 1
    assert os.listdir(tmp_path / "full") == ["file.npz"]
    assert not (tmp_path / "a").exists()


def test_export_data_leaves_nothing_that_is_incomplete(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    split, spec = Split(torch.zeros(6, 1, 4, 4)), Spec((1, 4, 4))
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="No space"):
        write_data(tmp_path / "real", split, torch.arange(6), spec, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "names", [["..", "a"], ["a/b", "c"], ["", "a"], [".git", "a"], ["A", "a"], ["x\0", "a"]]
)
def test_class_folders_stay_inside_of_the_place(names):
    """Names of classes may come from a file of someone else."""

    class Stranger:
        class content:  # noqa: N801
            classes = names

    assert class_names(Stranger(), Spec((1, 4, 4), classes=2)) == ["0", "1"]  # type: ignore[arg-type]


def test_attributes_are_read_again(tmp_path):
    rows = torch.tensor([[0.1, -3.0], [1e-30, 2.0], [0.5, 7.0], [0.25, 0.0]])
    condition = ConditionSpec(("tall", "old"), tuple(map(tuple, rows.tolist())))
    split = Split(torch.linspace(-1, 1, 4).reshape(4, 1, 1, 1).expand(4, 3, 8, 8), rows)
    write_data(tmp_path / "real", split, torch.arange(4), Spec((3, 8, 8), condition=condition), [])
    again = ImageFolder(
        root=str(tmp_path / "real"), resolution=8, attributes=str(tmp_path / "real/attributes.csv")
    ).load(0)
    found = torch.cat([again.train.y, again.holdout.y])
    assert sorted(found.tolist()) == sorted(rows.tolist())
