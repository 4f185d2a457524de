"""What every test process shares: one thread, caches of its own, and the command line called in this process."""

import logging
import os
from pathlib import Path

import pytest

# Before torch is imported: the networks of the tests are small, and `pytest -n 2` fills two cores by itself.
os.environ.setdefault("OMP_NUM_THREADS", "1")
HOME = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory):
    """Keep gantrain's cache out of the user's, so that no earlier run decides a test."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    os.environ.setdefault(
        "MPLCONFIGDIR", str(HOME / "matplotlib")
    )  # its index of fonts takes seconds to make
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture
def run_cli(tmp_path, monkeypatch, capfd):
    """Return ``run(*argv) -> (exit code, stdout, stderr)``: the command in this process, in ``tmp_path``."""
    import torch

    from gantrain.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GANTRAIN_DEBUG", raising=False)
    threads, handlers = torch.get_num_threads(), logging.root.handlers[:]

    def run(*argv: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(word) for word in argv])
        torch.set_num_threads(threads)
        logging.root.handlers[:] = handlers  # those of the command write to this test's stderr
        return code, *capfd.readouterr()

    return run
