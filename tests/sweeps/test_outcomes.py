"""No job ends without a result or the reason, on the screen and in every file."""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from gantrain.core.run_folder import RunFolder
from gantrain.core.sweep_folder import Job, Plan, SweepFolder
from gantrain.core.system import short_socket_folder
from gantrain.errors import DataError
from gantrain.reports.runs import read_rows
from gantrain.reports.summary import summarise
from gantrain.sweeps.outcomes import record_exit, record_unstarted

SHORT = ["dataset=ring", "metric=none", "train.sample_every=0", "debug=tiny"]


@pytest.mark.parametrize(
    ("exitcode", "stopped_by", "expected"),
    [
        (-9, 0, ("killed", "killed by SIGKILL", 137)),
        (-61, 0, ("killed", "killed by signal 61", 189)),
        (1, 0, ("failed", "its process ended with 1; its messages are those above", 1)),
        (0, 0, ("failed", "its process ended with 0; its messages are those above", 1)),
        (1, 15, ("interrupted", "stopped by SIGTERM before it trained", 143)),
    ],
)
def test_process_without_a_result_leaves_the_reason(tmp_path, exitcode, stopped_by, expected):
    run = RunFolder(tmp_path / "0-a")
    result = record_exit(run, exitcode, stopped_by)
    assert (result["status"], result["error"], result["exit_code"]) == expected
    assert run.outcome() == result
    (row,) = read_rows([run.path])
    assert (row.status, row.error, row.exit_code) == expected


def test_job_that_was_not_started_has_the_launchers_reason(tmp_path, capsys):
    sweep, runs = SweepFolder(tmp_path), [RunFolder(tmp_path / name) for name in ("0-a", "1-b", "2-c")]
    sweep.write(Plan("", (), tuple(Job(run.path.name) for run in runs)))
    record_exit(runs[0], -9)
    failed = SimpleNamespace(_return_value=DataError("data", "is gone", "restore it"))
    record_unstarted(runs, [None, failed], "its launcher failed")
    shown = summarise(tmp_path, [run.path for run in runs])
    texts = [shown, *((tmp_path / name).read_text() for name in ("summary.csv", "summary.md"))]
    for text in [capsys.readouterr().err, *texts]:
        assert "data: is gone; restore it" in text
        assert "its launcher failed" in text
    assert [run.outcome()["exit_code"] for run in runs] == [137, 3, 1]


@pytest.mark.parametrize(
    ("stop", "reason"),
    [("", "it has not begun"), ("15\n2\n", "its sweep was stopped by SIGTERM before its turn")],
)
def test_missing_job_has_the_reason_in_every_file(tmp_path, stop, reason):
    sweep, run = SweepFolder(tmp_path), RunFolder(tmp_path / "0-a")
    sweep.write(Plan("", (), (Job(run.path.name),)))
    sweep.stop_file.write_text(stop)
    shown = summarise(tmp_path, [run.path])
    for text in (shown, *((tmp_path / name).read_text() for name in ("summary.csv", "summary.md"))):
        assert "missing" in text
        assert reason in text


def test_sockets_lie_in_a_short_folder(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with short_socket_folder():
        assert len(os.fsencode(tempfile.gettempdir())) < 64
    assert tempfile.gettempdir() == str(deep)
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    with short_socket_folder():
        assert tempfile.gettempdir() == "/tmp"


@pytest.mark.parametrize("name", ["ax", "nevergrad"])
def test_sweeper_that_does_not_plan_is_refused(run_cli, tmp_path, name):
    code, out, err = run_cli("-m", f"hydra/sweeper={name}", *SHORT, "seed=0,1", "run.dir=s")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(
        f"gantrain: error: hydra/sweeper: {name} does not know gantrain's jobs; choose from grid"
    )
    assert list(tmp_path.iterdir()) == []


def test_sweeper_of_the_users_own_is_theirs(run_cli, tmp_path):
    folder = tmp_path / "mine/hydra/sweeper"
    folder.mkdir(parents=True)
    (folder / "seeds.yaml").write_text("# Two seeds.\ndefaults: [grid, _self_]\nparams: {seed: '0,1'}\n")
    words = ["--config-dir", tmp_path / "mine", "-m", "hydra/sweeper=seeds", *SHORT, "train.dry_run=true"]
    code, out, err = run_cli(*words)
    assert (code, "2 jobs, nothing was started" in out) == (0, True), err


@pytest.mark.slow
def test_launcher_that_fails_leaves_its_jobs_the_reason(run_cli, tmp_path, monkeypatch):
    def launch(*_: object) -> None:
        raise RuntimeError("a worker was killed")

    monkeypatch.setattr("hydra._internal.core_plugins.basic_launcher.BasicLauncher.launch", launch)
    code, out, err = run_cli("-m", *SHORT, "seed=0,1", "run.dir=s")
    assert code == 1
    assert out.count("failed (1): its launcher failed (a worker was killed)") == 2
    assert Path("s/summary.csv").read_text().count("a worker was killed") == 2
    assert err.count("a worker was killed") == 2
