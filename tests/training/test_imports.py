"""A run imports nothing that it does not use: not before its first step, and for digits not until its end."""

import subprocess
import sys

PROGRAM = """
import sys
import torch
with_torch = set(sys.modules)  # torch itself imports parts of what is looked for
from gantrain.cli.main import main
from gantrain.training.housekeeping import Housekeeping
work = Housekeeping.__call__

def call(self, state):
    if state.step == 1:
        print("first step:", *set(sys.modules) - with_torch)
    work(self, state)

Housekeeping.__call__ = call
for words in sys.argv[1:]:
    assert main([*words.split(), "debug=tiny", "device=cpu", f"run.dir={words}"]) == 0
    print("end:", *set(sys.modules) - with_torch)
"""
UNUSED = {  # of scipy a run takes the quantiles of intervals
    *("IPython", "joblib", "optuna", "pandas", "scipy.stats", "sklearn", "submitit", "sympy", "torchvision"),
    *("torch._dynamo", "torch._inductor", "torch.distributed.tensor", "torch.onnx"),
}


def test_run_imports_no_library_that_it_does_not_use(tmp_path):
    command = [sys.executable, "-c", PROGRAM, "dataset=digits", "dataset=ring"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lists = [{*line.split()} for line in done.stdout.splitlines() if line.startswith(("first step:", "end:"))]
    assert len(lists) == 4
    # Of both first steps, and of all that digits need; points are plotted, and their neighbours found, after theirs.
    for modules in lists[:3]:
        assert {"hydra", "tensorboard.compat.proto.event_pb2", "PIL.Image"} <= modules
        assert not modules & (UNUSED | {"matplotlib"})
    assert {"matplotlib", "scipy"} <= lists[3]
    assert not lists[3] & UNUSED
