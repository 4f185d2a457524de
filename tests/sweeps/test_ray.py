"""Sweeps on a real Ray, of their own on this machine or one that runs: as on any launcher, and open to nobody."""

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
pytest.importorskip("ray", reason="Ray is not installed: pip install 'gantrain[ray]'")

SHORT = ["dataset=ring", "device=cpu", "model.width=16", "metric=none", "train.sample_every=0"]
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
COMMAND = [sys.executable, "-m", "gantrain", "-m", *SHORT, "hydra/launcher=ray", "run.dir=sweep"]


def start(tmp_path: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    """Start a sweep, with a mark in its environment that all its processes inherit."""
    return subprocess.Popen(
        [*COMMAND, *words], cwd=tmp_path, env={**os.environ, "MARK": str(tmp_path), **variables}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def relatives(mark: Path) -> list[Path]:
    """Return /proc/PID of all processes with a mark in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"MARK={mark}\0".encode() in (path / "environ").read_bytes():
                found.append(path)
    return found


def survivors(mark: Path, seconds: float = 30) -> list[str]:
    """Return the processes with a mark that do not end soon, but for two of Ray's, which notice it in two minutes."""
    until, left = time.monotonic() + seconds, [""]
    while left and time.monotonic() < until:
        time.sleep(0.2)
        left = [text for text in map(text_of, relatives(mark)) if text and not text.startswith(AGENTS)]
    return left


def text_of(process: Path) -> str:
    """Return the command line of /proc/PID."""
    with suppress(OSError):
        return (process / "cmdline").read_text().replace("\0", " ")[:200]
    return ""


def statuses(sweep: Path) -> list[tuple[str, str, int | None]]:
    results = [(run.name, RunFolder(run).outcome()) for run in sorted(sweep.iterdir()) if run.is_dir()]
    return [(name, result["status"], result.get("exit_code")) for name, result in results]


def listening(processes: list[Path]) -> set[str]:
    """Return the addresses, in hexadecimal, where any of these processes accepts connections."""
    sockets = set()
    for path in processes:
        for handle in (path / "fd").glob("*"):
            with suppress(OSError):
                sockets.add(os.readlink(handle))
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()[1:]]
    own = [words[1] for words in lines if words[3] == "0A" and f"socket:[{words[9]}]" in sockets]
    return {address.partition(":")[0] for address in own}


def test_sweep_on_ray_has_folders_and_failures_of_any_sweep(run_cli, tmp_path):
    words = ["train.steps=150", "optimizer.schedule=constant", "optimizer.g_lr=${optimizer.d_lr}"]
    process = start(tmp_path, *words, "seed=0,1", "optimizer.d_lr=0.001,1000")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 1, err
    assert statuses(tmp_path / "sweep") == [
        ("0-seed0-d_lr0.001", "finished", None),
        ("1-seed0-d_lr1000", "diverged", 6),
        ("2-seed1-d_lr0.001", "finished", None),
        ("3-seed1-d_lr1000", "diverged", 6),
    ]
    assert "4 of 4 jobs: " in out
    assert "gantrain: job 1: " in err
    files = {path.name for path in (tmp_path / "sweep").iterdir() if path.is_file()}
    assert files >= {"summary.csv", "sweep.json"}
    assert not survivors(tmp_path)
    assert run_cli(*SHORT, *words, "seed=1", "optimizer.d_lr=0.001", "run.dir=alone")[0] == 0
    assert fingerprint(tmp_path / "sweep/2-seed1-d_lr0.001") == fingerprint(tmp_path / "alone")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_stopped_sweep_on_ray_saves_and_leaves_no_process(tmp_path, number, code):
    words = ["train.steps=10000000", "device.compile=false", "train.checkpoint_every=5", "seed=range(3)"]
    process = start(tmp_path, *words)
    until = time.monotonic() + 120
    while not list(tmp_path.glob("sweep/0-*/checkpoints/[0-9]*/state.json")) and time.monotonic() < until:
        time.sleep(0.05)
    if number == signal.SIGINT:  # as Ctrl-C does: all of the terminal's processes get it
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert not survivors(tmp_path)
    first = RunFolder(tmp_path / "sweep/0-seed0")
    assert first.newest_checkpoint is not None
    assert first.outcome()["status"] == "interrupted"
    if number != signal.SIGKILL:
        assert "Traceback" not in err
        assert "go on with: gantrain resume" in err.splitlines()[-1]


def test_ray_of_a_sweep_is_open_to_this_machine_alone(tmp_path):
    process = start(tmp_path, "train.steps=10000000", "device.compile=false", "seed=0,1")
    until = time.monotonic() + 120
    while not list(tmp_path.glob("sweep/0-*/metrics.jsonl")) and time.monotonic() < until:
        time.sleep(0.05)
    addresses = listening(relatives(tmp_path))
    process.kill()
    process.communicate()
    assert addresses
    assert addresses <= {"0100007F", "0" * 16 + "FFFF00000100007F"}, (
        addresses
    )  # 127.0.0.1, also as an IPv6 address
    assert not survivors(tmp_path)


def test_job_that_no_machine_can_take_is_refused(tmp_path):
    process = start(tmp_path, "train.steps=2", "seed=0,1", "+hydra.launcher.ray.remote.num_gpus=99")
    _, err = process.communicate(timeout=120)
    assert (process.returncode, len(err.splitlines())) == (2, 1), err
    assert err.startswith(
        "gantrain: error: hydra.launcher.ray.remote: this machine does not have num_gpus=99"
    )


def test_ray_that_does_not_answer_is_refused_in_one_line(tmp_path):
    process = start(tmp_path, "train.steps=2", "seed=0,1", "hydra.launcher.ray.init.address=127.0.0.1:1")
    _, err = process.communicate(timeout=120)
    assert (process.returncode, len(err.splitlines())) == (2, 1), err
    assert err.startswith(
        "gantrain: error: hydra.launcher.ray.init.address: 127.0.0.1:1 cannot be reached (Connection refused)"
    )
