"""``gantrain evaluate FAKE REAL``: two sets of pictures, without a run."""

import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gantrain.cli.main import main
from gantrain.core.spec import Spec
from gantrain.datasets.base import Split
from gantrain.datasets.digits import Digits
from gantrain.sampling.images import to_uint8
from gantrain.sampling.write import write_samples
from gantrain.sampling.write_data import write_data
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.evaluate import evaluation_mode, view
from gantrain.training.restore import config_and_spec
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

NAMES = [str(label) for label in range(10)]
CHEAP = "metric.names=[prdc,sharpness]"


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    """Digits: 60 held-out ones, 120 others, the first ones blurred, and each as other kinds of files."""
    folder = tmp_path_factory.mktemp("sets")
    data = Digits().load(0)
    (x, y), (other, z) = (part.take(torch.arange(n)) for part, n in ((data.holdout, 60), (data.train, 120)))
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    for name, pictures, labels in (("real", x, y), ("train", other, z), ("blurred", blurred, y)):
        split, rows = Split(pictures, labels), torch.arange(len(pictures))
        write_data(folder / name, split, rows, Spec((1, 8, 8), 10), NAMES)
        write_data(folder / f"{name}.npz", split, rows, Spec((1, 8, 8), 10), NAMES)
        write_data(folder / f"{name}-flat", Split(pictures), rows, Spec((1, 8, 8)), [])
    np.save(folder / "floats.npy", blurred.numpy())
    shutil.make_archive(str(folder / "blurred"), "zip", folder / "blurred")
    shutil.make_archive(str(folder / "blurred"), "gztar", folder / "blurred")
    colour = Split(other.expand(-1, 3, -1, -1).clone())
    colour.x[:, 0] *= -1
    write_data(folder / "colour", colour, torch.arange(120), Spec((3, 8, 8)), [])
    write_data(folder / "large", Split(torch.rand(40, 1, 12, 10)), torch.arange(40), Spec((1, 12, 10)), [])
    return folder


def reading(run_cli, *words: object) -> dict[str, dict[str, float]]:
    code, out, error = run_cli("evaluate", *words, "out=found.json")
    assert code == 0, error
    assert out.endswith("result     found.json\n")
    return json.loads(Path("found.json").read_text())


@pytest.mark.parametrize("kind", ["blurred.npz", "blurred.zip", "blurred.tar.gz", "blurred.zip/3/.."])
def test_every_kind_of_file_has_the_same_metrics(sets, run_cli, kind):
    if kind.endswith(".."):
        code, _, error = run_cli("evaluate", sets / kind, sets / "real")
        assert (code, error.count("\n")) == (3, 1)
        return
    folder = reading(run_cli, sets / "blurred", sets / "real", CHEAP)
    other = reading(run_cli, sets / kind, sets / "real", CHEAP)
    assert folder["metrics"] == pytest.approx(other["metrics"], rel=1e-9)
    assert folder["floors"] == other["floors"]


def test_floats_differ_from_bytes_by_rounding_alone(sets, run_cli):
    byte = reading(run_cli, sets / "blurred-flat", sets / "real-flat", CHEAP)["metrics"]
    exact = reading(run_cli, sets / "floats.npy", sets / "real-flat", CHEAP)["metrics"]
    assert exact == pytest.approx(byte, abs=0.02)
    assert exact["fidelity/sharpness"] == pytest.approx(byte["fidelity/sharpness"], rel=5e-3)


@pytest.mark.slow
def test_pictures_have_metrics_errors_and_floors_without_a_run(sets, run_cli, tmp_path):
    found = reading(run_cli, sets / "blurred-flat", sets / "real-flat")
    tags = {
        "divergence/frechet",
        "divergence/kernel",
        "diversity/coverage",
        "diversity/recall",
        "fidelity/density",
        "fidelity/precision",
        "fidelity/nearest_distance",
        "fidelity/sharpness",
    }
    assert tags <= found["metrics"].keys()
    assert tags == found["floors"].keys() & tags
    assert all(found["errors"][tag]["n"] == 60 for tag in tags)
    assert found["metrics"]["fidelity/sharpness"] < 0.2 < 0.9 < found["floors"]["fidelity/sharpness"] < 1.1
    assert found["protocol"]["prdc"]["G"] == "samples of files"
    assert os.listdir(tmp_path) == ["found.json"]


def test_two_samples_of_one_law_are_within_errors_of_the_floor(sets, run_cli):
    found = reading(run_cli, sets / "train-flat", sets / "real-flat", CHEAP)
    for tag in ("fidelity/sharpness", "fidelity/density", "diversity/coverage"):
        error = math.hypot(found["errors"][tag]["se"], found["floor_errors"][tag]["se"])
        assert abs(found["metrics"][tag] - found["floors"][tag]) < 4 * error


def test_copies_are_at_distance_0_and_fresh_ones_at_1(sets, run_cli, tmp_path):
    """Without another set for training, data are as far as they are from the nearest other one."""
    shutil.copytree(sets / "train-flat", tmp_path / "copies")
    words = ("metric=nearest",)
    copies = reading(run_cli, "copies", sets / "train-flat", *words)["metrics"]
    fresh = reading(run_cli, sets / "real-flat", sets / "train-flat", *words)
    assert copies["fidelity/nearest_distance"] == 0
    value, error = (fresh[key]["fidelity/nearest_distance"] for key in ("metrics", "errors"))
    assert abs(value - 1) < 4 * error["se"]


def test_labels_are_matched_by_the_names_of_classes(sets, run_cli, tmp_path):
    """A number stands for the place of a class; a set may lack classes that the real one has."""
    words = ("metric=per_condition", "metric.n=60")
    expected = reading(run_cli, sets / "blurred", sets / "real", *words)["metrics"]
    assert set(expected) == {"diversity/per_condition_std"}
    shutil.copytree(sets / "real", tmp_path / "named")
    for label in range(10):
        (tmp_path / "named" / str(label)).rename(tmp_path / "named" / f"class {label}")
    assert reading(run_cli, sets / "blurred.npz", "named", *words)["metrics"] == pytest.approx(expected)
    shutil.copytree(tmp_path / "named", tmp_path / "other")
    (tmp_path / "other" / "class 3").rename(tmp_path / "other" / "cat")
    code, _, error = run_cli("evaluate", "other", "named", *words)
    assert code == 3
    assert "has the class cat, which the real pictures have not" in error
    shutil.rmtree(tmp_path / "other" / "cat")
    assert reading(run_cli, "other", "named", *words)["metrics"]


def test_pictures_are_resized_on_request_alone(sets, run_cli):
    code, out, error = run_cli("evaluate", sets / "large", sets / "real-flat")
    assert (code, out) == (3, "")
    assert "8 x 8 pixels" in error
    assert "10 x 12 pixels" in error
    assert "dataset.resolution=8" in error
    found = reading(
        run_cli, sets / "blurred.npz", sets / "large", "dataset.resolution=9", "dataset.width=8", CHEAP
    )
    assert found["shape"] == [1, 9, 8]


def test_channels_are_changed_on_request_alone(sets, run_cli):
    code, _, error = run_cli("evaluate", sets / "colour", sets / "real-flat")
    assert code == 3
    assert "is in colour" in error
    assert "is grey" in error
    assert reading(run_cli, sets / "colour", sets / "real-flat", "dataset.channels=1", CHEAP)["shape"][0] == 1


@pytest.mark.parametrize(("fake", "code"), [("nowhere", 3), ("real.npz/x", 3), ("run", 2)])
@pytest.mark.parametrize("side", [0, 1])
def test_pictures_that_cannot_be_compared_are_one_line(sets, run_cli, tmp_path, fake, code, side):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    pair = [sets / fake if "/" in fake else fake, sets / "real-flat"]
    found, out, error = run_cli("evaluate", *(pair[::-1] if side else pair))
    assert (found, out, error.count("\n")) == (code, "", 1)
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("real-flat",), "is not a run folder or checkpoint"),
        (("real-flat", "real", "train"), "takes a run, or two sets of pictures"),
        (("real", "real/"), "is FAKE and REAL"),
        (("real", "train", "train=real"), "is FAKE and train"),
        (("real", "train", "train=train/."), "is REAL, which is taken for it anyway"),
        (("real", "train", "objective=hinge"), "does not change an evaluation of two sets"),
        (("real", "train", "dataset.root=x"), "does not change an evaluation of two sets"),
        (("real", "train", "dataset.holdout=0.5"), "does not change an evaluation of two sets"),
        (("real", "train", "device.processes=1"), "one process evaluates pictures"),
        (("real", "train", "metric=js"), "without the networks of a run"),
        (("real", "train", "metric=typo"), "typo"),
        (("real", "train", "features=classifier", CHEAP), "add train=SET of labelled pictures"),
        (("real", "train", "dataset.width=8"), "add dataset.resolution=HEIGHT"),
        (("real", "train", "metric.n=1"), "metric.n"),
        (("real", "train", "out=real.npz/x"), "out"),
    ],
)
def test_evaluate_refuses_words_that_two_sets_have_not(sets, run_cli, monkeypatch, words, problem):
    monkeypatch.chdir(sets)
    code, out, error = run_cli("evaluate", *words)
    assert (out, error.count("\n")) == ("", 1)
    assert code in (2, 4, 5)
    assert problem in error


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A conditional run of a few steps."""
    folder = tmp_path_factory.mktemp("run") / "run"
    small = ("model.width=8", "train.steps=30", "metric=none", "train.sample_every=0")
    assert main(["objective=conditional", *small, f"run.dir={folder}"]) == 0
    return folder


def same_samples(run: Path, out: Path) -> tuple[Tensor, Tensor | None]:
    """Write the samples that the evaluation of a run compares, and return them."""
    checkpoint = load_checkpoint(run)
    config, spec = config_and_spec(checkpoint)
    runtime = Runtime(config.device)
    state = TrainState.create(config, spec, runtime)
    state.load(checkpoint.tensors, checkpoint.step, checkpoint.path)
    config.metric = replace(config.metric, n=359)
    evaluation = view(config, config.dataset.load(config.seed), state, runtime)
    with evaluation_mode(evaluation):
        x, y = evaluation.fake
    write_samples(out, x, y, spec)
    return x, y


@pytest.mark.slow
def test_exported_data_give_the_metrics_of_the_run(run, run_cli, tmp_path):
    """The same samples and data, rounded to 8 bits: each number within 1 %, or 3 samples of 359."""
    x, _ = same_samples(run, tmp_path / "samples.npz")
    assert (np.load("samples.npz")["x"] == to_uint8(x).numpy()).all()
    for split in ("holdout", "train"):
        assert run_cli("export-data", run, split, f"split={split}")[0] == 0
    words = ("metric.names=[frechet,prdc,sharpness,nearest,per_condition]", "metric.n=359", "features=pixels")
    own = reading(run_cli, run, *words)
    other = reading(run_cli, "samples.npz", "holdout", "train=train", *words)
    assert own["metrics"].keys() == other["metrics"].keys()
    assert other["metrics"] == pytest.approx(own["metrics"], rel=0.01, abs=3 / 359)
    assert other["floors"] == pytest.approx(own["floors"], rel=0.01, abs=3 / 359)
    assert other["protocol"]["frechet"]["n"] == own["protocol"]["frechet"]["n"] == 359
