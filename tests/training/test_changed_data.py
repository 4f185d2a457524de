"""A run goes on with the data that it was trained on, known by content and not by place."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gantrain
from gantrain.core.run_folder import RunFolder
from gantrain.training.checkpoint import _digest, load_checkpoint

SMALL = [
    *("device=cpu", "device.threads=1", "model.width=4", "train.batch_size=4", "train.sample_every=0"),
    *("train.evaluate_every=0", "metric=none", "penalty=none"),
]
FOLDER = ["dataset=image_folder", "dataset.root=photos", "dataset.resolution=8", *SMALL]
TABLE = ["dataset=table", "dataset.path=t.csv", *SMALL]


def paint(folder: Path, count: int = 12, first: int = 0) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng(first + i).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.bmp")  # all of one size
    return folder


def tensors(run: Path) -> dict[str, bytes]:
    checkpoint = load_checkpoint(run)
    return {name: value.numpy().tobytes() for name, value in checkpoint.tensors.items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with pictures, a run on them up to step 4, and one of the same schedule up to step 2."""
    home = tmp_path_factory.mktemp("changed") / "home"
    paint(home / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for name, steps in (("whole", 4), ("run", 2)):
            gantrain.train([*FOLDER, f"train.steps={steps}", "optimizer.horizon=4", f"run.dir={name}"])
    shutil.copytree(home, home.parent / "kept")
    return home


@pytest.fixture
def home(trained, monkeypatch) -> Path:
    """The folder of ``trained`` as the working folder, as it was."""
    shutil.rmtree(trained)
    shutil.copytree(trained.parent / "kept", trained)
    monkeypatch.chdir(trained)
    return trained


def test_a_run_keeps_its_folder_wherever_it_is_resumed(home, run_cli, tmp_path, monkeypatch):
    paint(tmp_path / "away" / "photos", first=100)  # other pictures under the same relative name and sizes
    monkeypatch.chdir(tmp_path / "away")
    assert RunFolder(home / "run").config["dataset"]["root"] == str(home / "photos")
    code, _, err = run_cli("evaluate", home / "run", "metric=js")
    assert code == 0, err
    code, _, err = run_cli("resume", home / "run", "train.steps=4")
    assert code == 0, err
    assert tensors(home / "run") == tensors(home / "whole")


def test_a_moved_folder_goes_on_bit_for_bit(home, run_cli, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    shutil.move(home / "photos", tmp_path / "elsewhere" / "pictures")
    code, _, err = run_cli("resume", home / "run", "train.steps=4")
    assert code == 3
    assert f"{home / 'photos'}: does not exist; set dataset.root" in err
    monkeypatch.chdir(tmp_path / "elsewhere")
    words = ["dataset.root=pictures"]
    assert run_cli("evaluate", home / "run", *words, "metric=js")[0] == 0
    code, _, err = run_cli("resume", home / "run", *words, "train.steps=4")
    assert code == 0, err
    assert "bit for bit" not in err
    assert tensors(home / "run") == tensors(home / "whole")
    assert RunFolder(home / "run").config["dataset"]["root"] == str(tmp_path / "elsewhere" / "pictures")


def add(folder: Path) -> None:
    shutil.copy(folder / "3.bmp", folder / "30.bmp")
    shutil.copy(folder / "3.bmp", folder / "31.bmp")


def rename(folder: Path) -> None:
    (folder / "3.bmp").rename(folder / "03.bmp")


def resize(folder: Path) -> None:
    Image.new("RGB", (9, 9)).save(folder / "3.bmp")


CHANGES = {
    "added": (add, "2 added (first 30.bmp)"),
    "removed": (lambda folder: (folder / "3.bmp").unlink(), "1 removed (first 3.bmp)"),
    "renamed": (rename, "1 added (first 03.bmp), 1 removed (first 3.bmp)"),
    "resized": (resize, "1 of another size (first 3.bmp)"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_changed_folder_is_refused_until_it_is_allowed(case, home, run_cli, caplog):
    change, words = CHANGES[case]
    change(home / "photos")
    before = tensors(home / "run")
    for verb in ("resume", "evaluate"):
        code, _, err = run_cli(
            verb, home / "run", *(["train.steps=4"] if verb == "resume" else ["metric=js"])
        )
        assert code == 3
        (line,) = err.splitlines()
        assert line.startswith(
            f"gantrain: error: {home / 'photos'}: is not the data that the run was trained on: "
        )
        assert words in line
        assert "dataset.allow_changed=true" in line
    assert tensors(home / "run") == before
    if case == "added":
        code, _, err = run_cli("evaluate", home / "run", "dataset.allow_changed=true", "metric=js")
        assert code == 0, err
        assert words in caplog.text
        code, _, err = run_cli("resume", home / "run", "dataset.allow_changed=true", "train.steps=3")
        assert code == 0, err
        assert "will not continue bit for bit" in err
        assert words in (home / "run" / "gantrain.log").read_text()
        # From here on these are the run's data.
        code, _, err = run_cli("resume", home / "run", "train.steps=4")
        assert code == 0, err
        assert "bit for bit" not in err


def test_a_run_without_its_list_tells_the_counts(home, run_cli):
    add(home / "photos")
    (home / "run" / "data_files.jsonl").write_text("[]\n")
    code, _, err = run_cli("resume", home / "run", "train.steps=4")
    assert code == 3
    assert "12 files of 2.95 kB then, 14 files of 3.44 kB now; " in err


def test_a_run_of_an_older_version_goes_on(home, run_cli, caplog):
    add(home / "photos")
    file = load_checkpoint(home / "run").path / "state.json"
    state = json.loads(file.read_text())
    del state["data"]
    file.write_text(json.dumps(state | {"state_sha256": _digest(state)}))
    code, _, err = run_cli("resume", home / "run", "train.steps=4")
    assert code == 0, err
    assert f"{home / 'photos'}: cannot be compared with what the run was trained on" in caplog.text


def swap_rows(folder: Path) -> None:
    lines = (folder / "t.csv").read_text().splitlines()
    (folder / "t.csv").write_text("\n".join([lines[0], *lines[:0:-1], ""]))


def repaint(folder: Path) -> None:
    path = folder / "data" / "MNIST" / "raw" / "train-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)


SINGLE_FILES: dict[str, tuple[list[str], Callable[[Path], None], str]] = {
    "table": (TABLE, swap_rows, "dataset.path"),
    "mnist": (["dataset=mnist", *SMALL], repaint, "train-images-idx3-ubyte"),
}


@pytest.mark.parametrize("case", SINGLE_FILES)
def test_a_file_of_the_same_size_is_known_by_content(case, run_cli, tmp_path):
    from idx_files import write_idx

    words, change, name = SINGLE_FILES[case]
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i},{i * i % 7}\n" for i in range(10, 30)))
    write_idx(tmp_path / "data" / "MNIST" / "raw", 20, 10)
    code, _, err = run_cli(*words, "train.steps=2", "run.dir=run")
    assert code == 0, err
    change(tmp_path)
    for verb in ("resume", "evaluate"):
        code, _, err = run_cli(verb, "run", *(["train.steps=4"] if verb == "resume" else ["metric=js"]))
        assert code == 3
        assert f"1 of the same size with other content (first {name}); " in err
    change(tmp_path)  # back
    code, _, err = run_cli("resume", "run", "train.steps=3")
    assert code == 0, err
    change(tmp_path)
    code, _, err = run_cli("resume", "run", "train.steps=4", "dataset.allow_changed=true")
    assert code == 0, err


def test_a_run_downloads_nothing_into_a_folder_that_it_names(run_cli, tmp_path, monkeypatch):
    from idx_files import write_idx

    write_idx(tmp_path / "data" / "MNIST" / "raw", 20, 10)
    code, _, err = run_cli("dataset=mnist", *SMALL, "train.steps=1", "run.dir=run")
    assert code == 0, err
    shutil.move(tmp_path / "data", tmp_path / "moved")
    tried = []
    monkeypatch.setattr("gantrain.datasets.mnist.MNIST.open", lambda self, **options: tried.append(self.root))
    for verb in (["resume", "run", "train.steps=2"], ["evaluate", "run", "metric=js"]):
        code, _, err = run_cli(*verb)
        assert code == 3
        assert f"{tmp_path / 'data' / 'MNIST' / 'raw'}: lacks train-images-idx3-ubyte, " in err
        assert "set dataset.root to the folder that holds them, or to one to download them into" in err
    assert not tried
    assert not (tmp_path / "data").exists()
    run_cli("evaluate", "run", "metric=js", "dataset.root=new")
    assert tried[0] == str(tmp_path / "new")


def test_samples_that_are_drawn_have_no_files(run_cli, tmp_path):
    code, _, err = run_cli(
        "dataset=ring", "dataset.n=50", "dataset.n_holdout=9", *SMALL, "train.steps=1", "run.dir=run"
    )
    assert code == 0, err
    assert not (tmp_path / "run" / "data_files.jsonl").exists()
    state = json.loads((RunFolder(tmp_path / "run").newest_checkpoint / "state.json").read_text())
    assert "data" not in state
