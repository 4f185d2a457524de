"""Comparing 1,000 pictures of 256 x 256 in colour takes less than 1 GB beyond the program and the files."""

import subprocess
import sys

import numpy as np
import pytest

LIMIT = 1.0  # GB
COMMAND = """
import resource, sys
import torch, gantrain.training.evaluate_pictures, gantrain.training.run
from gantrain.cli.main import main
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
before = peak()
assert main(sys.argv[1:]) == 0
print("GROWTH", peak() - before)
"""


def growth(*words: str) -> float:
    """Return by how many GB a process grows while it runs a command."""
    command = [sys.executable, "-c", COMMAND, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.rpartition("GROWTH")[2])


@pytest.mark.slow
def test_evaluation_of_large_pictures_stays_below_1_gb(tmp_path):
    for name, seed in (("fake", 0), ("real", 1)):
        blocks = np.random.default_rng(seed).integers(0, 256, (1000, 16, 16, 3), dtype=np.uint8)
        np.savez(tmp_path / f"{name}.npz", x=blocks.repeat(16, 1).repeat(16, 2))
    sets = [tmp_path / f"{name}.npz" for name in ("fake", "real")]
    size = sum(path.stat().st_size for path in sets) / 1e9  # the files themselves are read as they are
    assert growth("evaluate", *map(str, sets), "device.threads=1") - size < LIMIT
