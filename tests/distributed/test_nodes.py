"""Two machines, here two of torch's launchers on the loopback address, play one run to the bits of one process."""

import socket
import subprocess
import sys

import pytest
from run_contents import fingerprint

from gantrain.core.run_folder import RunFolder

SHORT = [
    "dataset=digits",
    "device=cpu",
    "model.width=8",
    "metric=none",
    "train.sample_every=0",
    "device.compile=false",
]


@pytest.mark.slow
def test_two_launchers_play_one_run(run_cli, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    meeting = [
        "--rdzv-backend=c10d",
        f"--rdzv-endpoint=127.0.0.1:{port}",
        "--rdzv-id=1",
        "--local-addr=127.0.0.1",
    ]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", *meeting]
    words = [*SHORT, "train.steps=6", "device.shards=2"]
    command = [*torchrun, "-m", "gantrain", *words, "run.dir=two"]
    nodes = [
        subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in "ab"
    ]
    assert run_cli(*words, "run.dir=alone")[0] == 0
    ends = [(*node.communicate(timeout=200), node.returncode) for node in nodes]
    assert [code for _, _, code in ends] == [0, 0], ends
    assert sum("6 steps" in out for out, _, _ in ends) == 1  # one of all processes prints
    assert RunFolder(tmp_path / "two").outcome()["status"] == "finished"
    assert fingerprint(tmp_path / "two") == fingerprint(tmp_path / "alone")
