"""Folders of runs that tests of the command line share."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def outputs(tmp_path, monkeypatch) -> Path:
    """Three runs, of which the second in the alphabet is the newest, one of them in a sweep."""
    monkeypatch.chdir(tmp_path)
    for age, name in enumerate(["day/b run", "day/sweep/0-job", "day/a", "day/sweep", "plain"]):
        folder = Path("outputs") / name
        folder.mkdir(parents=True, exist_ok=True)
        if not name.endswith(("sweep", "plain")):
            (folder / "config.json").write_text("{}")
        if name.endswith("sweep"):
            (folder / "sweep.json").write_text("{}")
        os.utime(folder, (10**9 - age, 10**9 - age))
    (Path("outputs/day/a/checkpoints/000020")).mkdir(parents=True)
    os.utime("outputs/day/a", (10**9 - 2, 10**9 - 2))
    return tmp_path
