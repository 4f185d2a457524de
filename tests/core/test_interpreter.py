"""A command's process ends with its exit code, and without the destructors of torch's libraries."""

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import atexit, ctypes, sys
from gantrain.core.interpreter import end_quickly
libc = ctypes.CDLL(None)
libc.on_exit(libc.abort, None)  # a destructor that is seen
atexit.register(print, "what Python does at the end")
sys.modules |= {name: None for name in sys.argv[1:]}
end_quickly()
sys.exit(7)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "on_exit"), reason="only glibc has on_exit")
@pytest.mark.parametrize(("modules", "code"), [(["torch"], 7), ([], -6)], ids=["torch", "no torch"])
def test_a_process_that_imported_torch_runs_no_destructors(modules, code):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *modules], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (code, "what Python does at the end\n")
