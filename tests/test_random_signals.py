"""Thirty signals at random moments of the life of runs, verbs and sweeps: gone in time, nothing lost, no orphan."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from run_contents import fingerprint, lines

from gantrain.core.run_folder import RunFolder
from gantrain.core.signals import SIGNALS
from gantrain.core.sweep_folder import SweepFolder
from gantrain.core.system import usable_cores

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

SECONDS = 10.0  # from the signal to the end of all processes, on a machine that does nothing else
FIRST_LINE_SECONDS = 0.3  # before it a signal has its default effect
SMALL = [
    "dataset=ring", "dataset.n=300", "dataset.n_holdout=100", "device=cpu", "device.threads=1", "model.width=16",
    "train.batch_size=16", "metric=toy", "metric.n=100", "train.sample_every=0", "train.log_every=20",
]  # fmt: skip
RUN = [*SMALL, "seed=5", "train.steps=600", "train.evaluate_every=100", "train.checkpoint_every=75"]
SWEEP = [*SMALL, "seed=1,2", "train.steps=200", "train.evaluate_every=50", "train.checkpoint_every=50"]
# What is stopped: the words after ``gantrain`` for a folder.
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "run": lambda folder: [*RUN, f"run.dir={folder}"],
    "resume": lambda folder: ["resume", folder],
    "evaluate": lambda folder: ["evaluate", folder, "metric.n=20000"],
    "sample": lambda folder: ["sample", folder, "n=200000"],
    "report": lambda folder: ["report", folder],
    "basic": lambda folder: ["-m", *SWEEP, f"run.dir={folder}"],
    "joblib": lambda folder: [
        "-m",
        *SWEEP,
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        f"run.dir={folder}",
    ],
}
COUNTS = {"run": 11, "resume": 3, "evaluate": 3, "sample": 2, "report": 2, "basic": 5, "joblib": 4}
TRIALS = [(kind, number) for kind, count in COUNTS.items() for number in range(count)]


class Command:
    """A command as a process, with all that it starts."""

    def __init__(self, kind: str, folder: Path):
        self.mark = f"MARK={uuid.uuid4()}"
        env = os.environ | {"OMP_NUM_THREADS": "1", "MARK": self.mark.partition("=")[2]}
        argv = [sys.executable, "-m", "gantrain", *COMMANDS[kind](str(folder))]
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=folder.parent
        )

    def left(self) -> list[str]:
        """Return the command lines of the processes that are there still."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found


def patience() -> float:
    """Return how many seconds a command may take to end, on this machine now."""
    return SECONDS * max(1.0, os.getloadavg()[0] / usable_cores())


@cache
def whole(kind: str) -> tuple[Path, float]:
    """Return the folder of a command that no signal stopped, and how long it took."""
    folder = Path(os.environ["RANDOM_SIGNALS"]) / kind
    began = time.monotonic()
    if kind == "resume":  # the second half of a run
        shutil.copytree(whole("run")[0], folder)
        half(folder)
    elif kind in ("evaluate", "sample", "report"):
        shutil.copytree(whole("run")[0], folder)
    command = Command(kind, folder)
    out, _ = command.process.communicate(timeout=300)
    assert command.process.returncode == 0, out
    return folder, time.monotonic() - began


def half(folder: Path) -> None:
    """Put a finished run back to an earlier checkpoint, as if its process had been killed after it."""
    for path in RunFolder(folder).checkpoints[1:]:
        shutil.rmtree(path)
    (folder / "result.json").unlink()


def assert_same(folder: Path, other: Path) -> None:
    jobs = SweepFolder(other).jobs()
    for job in jobs or [None]:
        one, two = (path / job.folder if job else path for path in (folder, other))
        assert fingerprint(one) == fingerprint(two)
        assert lines(one) == lines(two)
        results = [json.loads((path / "result.json").read_text()) for path in (one, two)]
        assert results[0]["metrics"] == results[1]["metrics"]
        assert results[0]["status"] == "finished"


def logged_step(run: Path) -> int:
    return int(RunFolder(run, strict=False).history[-1]["step"]) if RunFolder(run).history else 0


def saved_step(run: Path) -> int:
    return int(path.name) if (path := RunFolder(run).newest_checkpoint) else 0


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANDOM_SIGNALS", str(tmp_path_factory.mktemp("whole")))
        yield


@pytest.mark.parametrize("kind, trial", TRIALS)
def test_random_signal_loses_nothing(kind, trial, tmp_path, run_cli):
    draws = random.Random(f"{kind} {trial}")
    reference, life = whole(kind)
    number, moment = draws.choice(SIGNALS), draws.uniform(0, life)
    folder = tmp_path / "it"
    if kind in ("resume", "evaluate", "sample", "report"):
        shutil.copytree(whole("run")[0], folder)
    if kind == "resume":
        half(folder)
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    # The signal.
    command = Command(kind, folder)
    time.sleep(moment)
    was_alive = command.process.poll() is None
    command.process.send_signal(number)
    sent, limit = time.monotonic(), patience()
    out, _ = command.process.communicate(timeout=60)
    while (left := command.left()) and time.monotonic() - sent < limit:
        time.sleep(0.1)
    code, where = command.process.returncode, (signal.Signals(number).name, round(moment, 2), out)
    assert time.monotonic() - sent <= limit, where
    assert not left, where
    assert "Traceback" not in out, where
    early = moment < FIRST_LINE_SECONDS and not out
    assert code == 0 or (was_alive and code in (128 + number, *[-number] * early)), (code, *where)
    assert code <= 0 or out.splitlines()[-1].startswith("gantrain: error: "), where

    # Nothing is lost: what was logged is saved, and the same or the advised command ends as if never stopped.
    if kind in ("run", "resume") and " at step " in out:
        assert saved_step(folder) >= logged_step(folder), where
    if kind in ("evaluate", "sample", "report"):
        for path, content in files.items():
            assert path.name == "report.html" or path.read_bytes() == content, path
        assert run_cli(*COMMANDS[kind](str(folder)))[0] == 0
        return
    advised = "gantrain resume" in out or kind == "resume"
    words = ["resume", folder] if advised or code == 0 else COMMANDS[kind](str(folder))
    again, stdout, stderr = run_cli(*words)
    assert again == 0, (*where, stdout, stderr)
    assert_same(folder, reference)
