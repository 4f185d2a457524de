"""A run folder of version 0.1.0, from before the package was laid out in layers: it goes on as it would have then.

``old_run/run`` was written by ``gantrain dataset=ring objective=conditional penalty=r1 …`` up to step 8 of 12, and
``old_run/expected.json`` by the same program: 8 samples of seed 3, the metrics of ``gantrain evaluate``, and the
scalars of step 12 of a run that was never stopped.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import gantrain

HERE = Path(__file__).parent / "old_run"
EXPECTED = json.loads((HERE / "expected.json").read_text())
TOLERANCE = {"rel": 1e-4, "abs": 1e-6}  # another processor rounds otherwise


@pytest.fixture
def old_run(tmp_path):
    return shutil.copytree(HERE / "run", tmp_path / "old_run")


def test_old_run_samples_the_same_points(old_run, run_cli, tmp_path):
    code, _, err = run_cli("sample", old_run, "n=8", "seed=3", "out=points.npz")
    assert code == 0, err
    points = np.load(tmp_path / "points.npz")
    np.testing.assert_allclose(points["x"], EXPECTED["samples"], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(gantrain.load(old_run).sample(8, seed=3).numpy(), points["x"])


def test_old_run_evaluates_to_the_same_metrics(old_run, run_cli):
    code, _, err = run_cli("evaluate", old_run)
    assert code == 0, err
    found = json.loads((old_run / "evaluation-000008.json").read_text())["metrics"]
    assert found == pytest.approx(EXPECTED["metrics_at_8"], **TOLERANCE)


def test_old_run_resumes_as_if_never_stopped(old_run, run_cli):
    code, _, err = run_cli("resume", old_run, "train.steps=12")
    assert code == 0, err
    rows = [json.loads(line) for line in (old_run / "metrics.jsonl").read_text().splitlines()]
    last = {tag: v for row in rows if row["step"] == 12 for tag, v in row.items()}
    scalars = {tag: v for tag, v in last.items() if tag != "step" and not tag.startswith("speed/")}
    assert scalars == pytest.approx(EXPECTED["scalars_at_12"], **TOLERANCE)
    assert json.loads((old_run / "result.json").read_text())["status"] == "finished"


def test_old_run_is_shown_and_compared(old_run, run_cli):
    for words in (["show"], ["compare"], ["report"]):
        code, out, err = run_cli(*words, old_run)
        assert code == 0, err
        assert "old_run" in out
