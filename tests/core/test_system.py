"""The cores of this process: affinity and a container's quota."""

import builtins
import io
import logging
import os
import subprocess
import sys

import joblib
import pytest
from joblib.externals.loky.backend import context

from gantrain.core.system import mute_logging, usable_cores

MASK = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_usable_cores_follow_the_affinity():
    core = min(os.sched_getaffinity(0))
    script = f"import os; os.sched_setaffinity(0, [{core}]); "
    script += "from gantrain.core.system import usable_cores; print(usable_cores())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.skipif(sys.platform != "linux", reason="quotas are Linux's")
@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", MASK),
        ("100000 100000", 1),
        ("50000 100000", 1),  # half a core is one
        ("100000000 1000", MASK),  # more than there are
    ],
)
def test_usable_cores_follow_the_quota_of_a_container(quota, cores, monkeypatch):
    file, real_open, real_exists = "/sys/fs/cgroup/cpu.max", builtins.open, os.path.exists
    monkeypatch.setattr(context.os.path, "exists", lambda path: path == file or real_exists(path))
    monkeypatch.setattr(
        builtins,
        "open",
        lambda path, *args, **keys: io.StringIO(quota) if path == file else real_open(path, *args, **keys),
    )
    assert usable_cores() == joblib.cpu_count() == cores


def test_log_is_muted_until_the_last_of_several_threads_leaves():
    first, second = mute_logging(logging.CRITICAL), mute_logging(logging.INFO)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert logging.root.manager.disable == logging.INFO
    second.__exit__(None, None, None)
    assert logging.root.manager.disable == logging.NOTSET
