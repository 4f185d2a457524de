"""Two real processes play one run, and something ends them: one line, a good checkpoint, the same bits afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from run_contents import fingerprint, lines

from gantrain.cli.main import main
from gantrain.core.run_folder import RunFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]
WORDS = [
    "dataset=ring", "dataset.n=500", "dataset.n_holdout=100", "device=cpu", "device.timeout=8", "device.threads=1",
    "metric=js", "metric.n=60", "model.width=8", "train.steps=160", "train.checkpoint_every=10",
    "train.evaluate_every=50", "train.sample_every=0",
]  # fmt: skip
COMMAND = [sys.executable, "-m", "gantrain"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


class Job:
    """A started command, and its processes of the run."""

    def __init__(self, *argv: str):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, env=environment)

    def ranks(self) -> dict[int, int]:
        """Return the process of each rank by its number in the system."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == self.process.pid:
                    variables = (folder / "environ").read_text().split("\0")
                    found |= {int(one[5:]): int(folder.name) for one in variables if one.startswith("RANK=")}
            except OSError:  # it has ended
                continue
        return found

    def wait_for(self, is_reached: Callable[[], object]) -> None:
        deadline = time.monotonic() + 90
        while not is_reached():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self, seconds: float) -> tuple[int, list[str]]:
        """Return the exit code and the lines of errors."""
        err = self.process.communicate(timeout=seconds)[1]
        return self.process.returncode, err.splitlines()


def started(folder: Path, *launcher: str) -> Job:
    """Return a job of two processes that has written a checkpoint."""
    job = Job(
        *(launcher or COMMAND), *([] if launcher else ["device.processes=2"]), *WORDS, f"run.dir={folder}"
    )
    job.wait_for(lambda: RunFolder(folder).checkpoints)
    return job


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The run of one process that nothing ends."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(
        [*COMMAND, *WORDS, "device.shards=2", f"run.dir={folder}"], check=True, capture_output=True
    )
    return folder


def assert_goes_on(folder: Path, whole: Path, processes: int = 1) -> None:
    """Check that a run goes on with the bits of the one that nothing ended."""
    assert main(["resume", str(folder), f"device.processes={processes}"]) == 0
    assert fingerprint(folder) == fingerprint(whole)
    assert lines(folder) == lines(whole)


@pytest.mark.parametrize(
    ("number", "rank", "line", "seconds"),
    [
        (signal.SIGKILL, 0, "rank 0: its process has ended", 30),
        (signal.SIGKILL, 1, "rank 1: its process has ended", 30),
        (signal.SIGSTOP, 0, "rank 0: did not answer for 8 s", 23),
        (signal.SIGSTOP, 1, "rank 1: did not answer for 8 s", 23),
    ],
)
def test_a_lost_process_ends_the_run_with_one_line(number, rank, line, seconds, tmp_path, whole):
    folder = tmp_path / "run"
    job = started(folder)
    ranks = job.ranks()
    os.kill(ranks[rank], number)
    code, err = job.end(seconds)
    assert (code, err[-1]) == (1, f"gantrain: error: {line}; go on with: gantrain resume {folder}")
    assert sum("error" in one for one in err) == 1
    assert not any(os.path.exists(f"/proc/{pid}") for pid in ranks.values())
    assert_goes_on(folder, whole, processes=2 if (number, rank) == (signal.SIGKILL, 0) else 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_launcher_saves_once(number, code, tmp_path, whole):
    folder = tmp_path / "run"
    job = started(folder)
    job.process.send_signal(number)
    ended, err = job.end(30)
    assert ended == code
    assert err[-1].startswith(f"gantrain: error: {folder}: stopped by {number.name} at step ")
    assert sum("error" in one for one in err) == 1
    result = json.loads((folder / "result.json").read_text())
    assert (result["status"], result["exit_code"]) == ("interrupted", code)
    assert_goes_on(folder, whole)


def test_a_killed_launcher_leaves_no_process(tmp_path, whole):
    folder = tmp_path / "run"
    job = started(folder)
    ranks = job.ranks().values()
    job.process.kill()
    deadline = time.monotonic() + 60
    while any(os.path.exists(f"/proc/{pid}") for pid in ranks):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    job.end(5)
    assert_goes_on(folder, whole)


def test_processes_that_torchrun_restarts_go_on(tmp_path, whole):
    folder = tmp_path / "run"
    job = started(folder, *TORCHRUN, "--max-restarts", "2", "-m", "gantrain")
    before = job.ranks()
    os.kill(before[1], signal.SIGKILL)
    job.wait_for(lambda: len(ranks := job.ranks()) == 2 and ranks[0] != before[0])
    code, err = job.end(90)
    assert code == 0
    mine = [one for one in err if one.startswith("gantrain: ")]
    assert mine == ["gantrain: error: rank 1: its process has ended; the launcher starts all of them again"]
    assert fingerprint(folder) == fingerprint(whole)
    assert lines(folder) == lines(whole)


def test_two_launchers_play_one_run_as_two_machines_would(tmp_path, whole):
    import socket

    folder = tmp_path / "run"
    with socket.socket() as server:
        server.bind(("localhost", 0))
        port = server.getsockname()[1]
    nodes = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    nodes += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{port}", "--local-addr", "localhost"]
    jobs = [Job(*nodes, "-m", "gantrain", *WORDS, f"run.dir={folder}") for _ in range(2)]
    assert [job.end(120)[0] for job in jobs] == [0, 0]
    assert fingerprint(folder) == fingerprint(whole)


def test_errors_of_a_run_of_two_processes_are_one_line(tmp_path):
    for words, code, line in (
        (["objectiv=hinge"], 2, "objectiv: there is no such key"),
        (
            ["dataset=image_folder", f"dataset.root={tmp_path / 'none'}"],
            3,
            f"{tmp_path / 'none'}: does not exist",
        ),
    ):
        ended, err = Job(*COMMAND, "device.processes=2", *words).end(60)
        assert (ended, len(err)) == (code, 1)
        assert err[0].startswith(f"gantrain: error: {line}")
    _, err = Job(*TORCHRUN, "-m", "gantrain", "-m", "seed=0,1").end(60)
    mine = [one for one in err if one.startswith("gantrain: ")]
    assert len(mine) == 1
    assert mine[0].startswith(
        "gantrain: error: -m: is a sweep, and 2 processes were started to play one run; "
    )
