"""``gantrain thermometer FAKE REAL``: what it reads, its one sentence, and one line for what it cannot read."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gantrain.datasets.files.point_set import read_points
from gantrain.datasets.table import TableFile


def write_csv(path: Path, x: np.ndarray, labels: list[str] | None = None) -> Path:
    head = [f"c{i}" for i in range(x.shape[1])] + ["kind"] * (labels is not None)
    rows = [",".join(map(str, row)) + (f",{labels[i]}" if labels else "") for i, row in enumerate(x)]
    path.write_text("\n".join([",".join(head), *rows]) + "\n")
    return path


def points(n: int, seed: int, shift: float = 0.0, d: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


def test_a_table_against_another_has_numbers_and_a_sentence(run_cli, tmp_path):
    labels = ["a"] * 60 + ["b"] * 60
    real = write_csv(tmp_path / "real.csv", points(120, 0), labels)
    fake = write_csv(tmp_path / "fake.csv", points(120, 1, 3.0), ["a"] * 120)
    code, out, error = run_cli("thermometer", fake, real, "dataset.label=kind", "out=found.json")
    assert code == 0, error
    found = json.loads(Path("found.json").read_text())
    assert found["verdict"] in out
    assert found["verdict"].startswith("They differ: JSD is")
    tags = {"divergence/js_refit", "divergence/total_variation", "diversity/class_kl"}
    assert tags <= found["metrics"].keys()
    assert tags <= found["floors"].keys()
    assert 0.3 < found["metrics"]["divergence/js_refit"] < 0.6932
    interval = found["intervals"]["divergence/js_refit"]
    assert interval["low"] <= found["metrics"]["divergence/js_refit"] <= interval["high"]


def test_arrays_and_tables_hold_the_same_points(tmp_path):
    x = points(20, 2, d=3)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(20) % 2)
    write_csv(tmp_path / "x.csv", x)
    found = [read_points(str(tmp_path / f"x.{kind}"), TableFile()) for kind in ("npy", "npz", "csv")]
    for one in found:
        np.testing.assert_allclose(one.x, x)
    assert found[1].classes == ("0", "1")
    assert found[2].names == ("c0", "c1", "c2")


@pytest.mark.parametrize(
    ("fake", "real", "words", "message"),
    [
        ("a.npy", "a.npy", [], "is FAKE and REAL"),
        ("a.npy", "wide.npy", [], "has points of 2 numbers, and wide.npy of 3"),
        ("a.npy", "none.npy", [], "none.npy"),
        ("a.npy", "folder", [], "give two sets of one kind"),
        ("a.npy", "objects.npy", [], "cannot be read"),
        ("a.npy", "nan.npy", [], "not finite"),
        ("a.npy", "few.npy", [], "REAL has 5 samples"),
        ("a.npy", "b.npy", ["n=3"], "not a whole number from 20 up"),
        ("a.npy", "b.npy", ["metric=full"], "no word of the thermometer"),
        ("a.npy", "b.npy", ["dataset.resolution=8"], "is no key of points"),
        ("a.npy", "words.csv", [], "words.csv"),
    ],
)
def test_what_cannot_be_compared_gets_one_line(run_cli, tmp_path, fake, real, words, message):
    for name, seed in (("a", 0), ("b", 1)):
        np.save(tmp_path / f"{name}.npy", points(40, seed))
    np.save(tmp_path / "wide.npy", points(40, 1, d=3))
    np.save(tmp_path / "few.npy", points(5, 1))
    np.save(tmp_path / "nan.npy", np.where(points(40, 1) > 1, np.nan, 0.0))
    np.save(tmp_path / "objects.npy", np.array([{}] * 40), allow_pickle=True)
    (tmp_path / "folder").mkdir()
    (tmp_path / "words.csv").write_text("name\n" + "word\n" * 40)
    code, _, error = run_cli("thermometer", fake, real, *words)
    assert code in (2, 3)
    assert error.startswith("gantrain: error: ")
    assert error.count("\n") == 1
    assert message in error


def test_one_path_is_not_enough(run_cli):
    code, _, error = run_cli("thermometer", "a.npy")
    assert code == 2
    assert "takes two sets of samples, got 1" in error


@pytest.mark.slow
def test_the_thermometer_imports_no_hydra(tmp_path):
    np.save(tmp_path / "a.npy", points(40, 0))
    np.save(tmp_path / "b.npy", points(40, 1))
    program = (
        "import sys; from gantrain.cli.main import main; code = main(sys.argv[1:]); "
        "print(code, sorted(m for m in sys.modules if m.split('.')[0] in ('hydra', 'hydra_plugins')))"
    )
    words = ["thermometer", "a.npy", "b.npy"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr
