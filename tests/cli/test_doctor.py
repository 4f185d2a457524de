"""``gantrain doctor``: a line for each check, and an exit code."""

import os
import re
from importlib import metadata
from pathlib import Path

import pytest
import torch

from gantrain.cli import checks
from gantrain.cli.checks import FAIL


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr(checks, "SECONDS", 0.01)


def test_doctor_marks_every_line_and_finds_this_machine_ready(run_cli):
    code, page, err = run_cli("doctor")
    *lines, last = page.splitlines()
    assert (code, err, last) == (0, "", "ready to train")
    assert all(re.match(r"(ok|warn|-) +\S", line) for line in lines)
    found = {line[6:].split(" ", 1)[0]: line for line in lines}
    assert metadata.version("torch") in found["torch"]
    assert {"python", "hydra-core", "omegaconf", "tensorboard", "threads", "outputs", "memory"} <= set(found)
    assert f"{os.cpu_count()} cores" in found["processor"]
    assert re.search(r"float32 [\d.e+]+ GFLOP/s.* bfloat16 [\d.e+]+ GFLOP/s.*; device.precision=", page)
    assert ("cuda:0" in found) == torch.cuda.is_available()
    assert not (Path.cwd() / "outputs").exists()


def test_doctor_fails_where_outputs_cannot_be_written(run_cli, tmp_path):
    (tmp_path / "outputs").write_text("a file stands where the folder should")
    code, page, err = run_cli("doctor")
    assert (code, err) == (1, "")
    (line,) = [line for line in page.splitlines() if line.startswith(FAIL)]
    assert "outputs" in line
    assert "run.root" in line


def test_doctor_takes_no_words(run_cli):
    for word, code in (("now=1", 2), ("nowhere", 4)):
        found, out, err = run_cli("doctor", word)
        assert (found, out, err.count("\n")) == (code, "", 1)


def test_doctor_lists_all_that_is_wrong_with_a_run(run_cli):
    words = "dataset=lines device=cpu train.steps=60 train.evaluate_every=0 train.sample_every=0 run.dir=r"
    words += " metric=js"
    code, _, err = run_cli(
        *words.split(), "optimizer.beta1=0.99", "optimizer.d_lr=1e-7", "dataset.n=150", "train.batch_size=64"
    )
    assert code == 0, err
    code, page, err = run_cli("doctor", "r")
    assert (code, err) == (0, "")
    # A run names the surest cause; the doctor also what that may explain.
    for name in ("optimizer.beta1=0.99", "optimizer.d_lr=1e-07", "too few training samples (150"):
        assert len([line for line in page.splitlines() if line.startswith("fault") and name in line]) == 1
    assert all("; normal: " in line for line in page.splitlines() if line.startswith("fault"))
    assert "read       js" in page
