"""What a sweep exchanges with its processes cannot be planted in its folder beforehand."""

import os
import pickle
from pathlib import Path

import pytest

SWEEP = ["-m", "dataset=ring", "debug=tiny", "metric=none", "seed=0,1", "run.dir=sweep"]


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


def test_pickles_of_submitit_lie_where_nobody_can_plant_them(run_cli, tmp_path, canary, monkeypatch):
    folders = []

    def executor(folder: str, **_: object) -> None:
        folders.append(Path(folder).parent)
        raise RuntimeError("not submitted")

    monkeypatch.setattr("submitit.AutoExecutor", executor)
    for _ in range(2):  # the second time as a resumed sweep
        assert run_cli(*SWEEP, "hydra/launcher=submitit_local")[0] == 1
        planted = tmp_path / "sweep/.submitit/7"
        planted.mkdir(parents=True, exist_ok=True)
        (planted / "7_0_result.pkl").write_bytes(pickle.dumps(("success", Payload(canary))))
    first, second = folders
    assert first != second
    assert {folder.parent for folder in folders} == {tmp_path / "sweep"}
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}
    assert not list(second.iterdir())


@pytest.mark.parametrize(
    "text", ["9\n", "15\n" * 100_000, "x" * 2_000_000, "\x1b[31m\n", "-9\n99999999999\n"]
)
def test_planted_stop_note_neither_stops_nor_signals(run_cli, tmp_path, text):
    """The note is that of an earlier attempt: a sweep begins with none, and reports read only signals that exist."""
    from gantrain.core.sweep_folder import SweepFolder
    from gantrain.reports.runs import read_rows

    (tmp_path / ".stop").write_text(text)
    assert set(SweepFolder(tmp_path).signals()) <= {9, 15}
    (row,) = read_rows([tmp_path / "0-a"])
    assert row.status == "missing"
    assert row.error.isprintable()
    assert len(row.error) < 100
