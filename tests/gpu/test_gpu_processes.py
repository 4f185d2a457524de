"""Processes that play one run on GPUs: what they exchange, and the bits that they end with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from small_game import EVERYTHING, game, same

from gantrain.distributed.processes import Processes
from gantrain.training.checkpoint import load_checkpoint

SECONDS = 60.0


@pytest.fixture
def group(kind):
    """A group of this process alone: nccl on CUDA, gloo on the CPU."""
    one = Processes(dist.HashStore(), 1, 0, 1)
    one.connect(torch.device(kind, 0) if kind == "cuda" else torch.device(kind), SECONDS)
    yield one
    one.close()


def test_group_exchanges_tensors_of_device_and_host(kind, group):
    for device in {kind, "cpu"}:
        x = torch.arange(3.0, device=device)
        assert [one.tolist() for one in group.gather(x)] == [[0, 1, 2]]
        assert group.sum(x).tolist() == [0, 1, 2]


@pytest.mark.parametrize("penalty", ["none", "r1", "wgan_gp"])
def test_process_of_a_group_plays_the_bits_of_one_alone(kind, group, penalty):
    device = {"kind": kind, "shards": 2}
    alone = game(penalty=penalty, device=device, steps=2).play()
    assert same(
        game(penalty=penalty, device=device, group=group, steps=2).play().tensors(*EVERYTHING),
        alone.tensors(*EVERYTHING),
    )


def test_two_processes_on_one_device_end_with_the_bits_of_one(kind, tmp_path):
    words = (
        "dataset=ring",
        "dataset.n=512",
        "penalty=r1",
        "train.steps=4",
        "train.batch_size=32",
        "metric=none",
    )
    same_card = ("device.index=0", "device.deterministic=true") if kind == "cuda" else ()
    for count in (1, 2):
        line = (
            *words,
            f"device={kind}",
            "device.shards=2",
            f"device.processes={count}",
            f"run.dir={count}",
            *same_card,
        )
        command = [sys.executable, "-m", "gantrain", *line]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
    one, two = (load_checkpoint(tmp_path / name).tensors for name in "12")
    assert same(two, one)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
