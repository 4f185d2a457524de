"""A job of a sweep that several processes play: the bits of one process, one error, and a stop that saves once."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from run_contents import fingerprint

from gantrain.core.run_folder import RunFolder

pytestmark = pytest.mark.slow

SHORT = [
    "dataset=digits",
    "device=cpu",
    "model.width=8",
    "metric=none",
    "train.sample_every=0",
    "device.compile=false",
]
# How a job gets two ranks: by its own process, or by submitit.
RANKS = {
    "basic": ["device.processes=2"],
    "submitit_local": ["hydra/launcher=submitit_local", "hydra.launcher.tasks_per_node=2"],
}


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a sweep, with a mark in its environment that all its processes inherit."""
    return subprocess.Popen(
        [sys.executable, "-m", "gantrain", "-m", *SHORT, *words, "run.dir=sweep"], cwd=folder, text=True,
        env={**os.environ, "MARK": str(folder)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def ranks(folder: Path) -> dict[str, int]:
    """Return the numbers of the processes with a mark and a rank, by rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            text = (path / "environ").read_bytes().decode(errors="replace").split("\0")
            own = dict(word.split("=", 1) for word in text if "=" in word)
            if own.get("MARK") == str(folder) and "SUBMITIT_LOCAL_GLOBALID" in own:
                found[own["SUBMITIT_LOCAL_GLOBALID"]] = int(path.name)
    return found


def wait_for(folder: Path, pattern: str) -> None:
    """Wait until the sweep has a file of this pattern."""
    until = time.monotonic() + 120
    while not list(folder.glob(pattern)) and time.monotonic() < until:
        time.sleep(0.05)


@pytest.mark.parametrize("launcher", RANKS)
def test_job_of_two_ranks_has_the_bits_of_one_process(run_cli, tmp_path, launcher):
    words = ["train.steps=6", "train.checkpoint_every=3"]
    assert run_cli(*SHORT, *words, "device.shards=2", "seed=1", "run.dir=alone")[0] == 0
    process = start(tmp_path, *words, *RANKS[launcher], "seed=1")
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    run = RunFolder(tmp_path / "sweep/0-job")
    assert (run.outcome()["status"], run.config["device"]["processes"]) == ("finished", 2)
    assert fingerprint(run.path) == fingerprint(tmp_path / "alone")


@pytest.mark.parametrize("launcher", RANKS)
def test_stopped_job_of_two_ranks_is_saved_and_goes_on(run_cli, tmp_path, launcher):
    process = start(tmp_path, "train.steps=1000000", "train.checkpoint_every=5", *RANKS[launcher], "seed=0")
    wait_for(tmp_path, "sweep/0-*/checkpoints/[0-9]*/state.json")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    run = RunFolder(tmp_path / "sweep/0-job")
    assert (run.outcome()["status"], run.outcome()["exit_code"]) == ("interrupted", 130)
    step = run.step
    code, _, err = run_cli("resume", "sweep", f"train.steps={step + 3}", "optimizer.horizon=1000000")
    assert code == 0, err
    assert (run.outcome()["status"], run.step) == ("finished", step + 3)


def test_job_that_loses_a_rank_fails_with_the_reason(tmp_path):
    process = start(
        tmp_path, "train.steps=1000000", "train.checkpoint_every=5", *RANKS["submitit_local"], "seed=0"
    )
    wait_for(tmp_path, "sweep/0-*/checkpoints/[0-9]*/state.json")
    began = time.monotonic()
    os.kill(ranks(tmp_path)["1"], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert time.monotonic() - began < 30
    assert process.returncode == 1, err
    outcome = RunFolder(tmp_path / "sweep/0-job").outcome()
    assert (outcome["status"], outcome["exit_code"]) == ("failed", 1)
    assert outcome["error"].startswith("rank 1: its process has ended; go on with: gantrain resume ")
