"""What users and machines do to sweeps: a launcher that cannot launch, two Ctrl-C, a full disk, a torn record."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_runs import made

from gantrain.config.overrides import read
from gantrain.core.sweep_folder import SweepFolder
from gantrain.errors import ConfigError, Interrupted
from gantrain.reports.runs import jobs_of, rows
from gantrain.sweeps.launch import check_launcher
from gantrain.sweeps.stop import forward_signals, read_signals

SHORT = ["dataset=ring", "metric=none", "train.sample_every=0"]
SLURM = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"}
LOCAL = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"}


@pytest.mark.parametrize("n_jobs", [-1, 1, 2, None])
def test_only_no_job_at_once_is_refused(n_jobs):
    check_launcher({"n_jobs": n_jobs})
    with pytest.raises(ConfigError, match=r"n_jobs: 0 starts no job"):
        check_launcher({"n_jobs": 0})


def test_slurm_is_asked_for_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    check_launcher(LOCAL)
    with pytest.raises(ConfigError, match="no Slurm on this machine"):
        check_launcher(SLURM)
    (tmp_path / "srun").write_text("")
    (tmp_path / "srun").chmod(0o755)
    check_launcher(SLURM)


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs: 0"),
        (["hydra.sweeper.max_batch_size=2"], "hydra.sweeper.max_batch_size: there is no such key"),
    ],
)
def test_what_no_launcher_can_do_is_one_line_before_anything_is_written(run_cli, tmp_path, words, where):
    code, _, err = run_cli("-m", *SHORT, "seed=0,1", *words, "run.dir=s")
    assert (code, len(err.splitlines())) == (2, 1), err
    assert err.startswith(f"gantrain: error: {where}")
    assert list(tmp_path.iterdir()) == []


def test_a_launcher_that_is_not_installed_names_what_installs_it():
    from hydra.errors import MissingConfigException

    from gantrain.core.hydra_errors import translated

    for name in ("joblib", "submitit_local", "submitit_slurm"):
        gone = MissingConfigException(
            "not found", missing_cfg_file=f"hydra/launcher/{name}", options=["basic"]
        )
        assert (
            str(translated(gone))
            == f"hydra/launcher: {name} is not installed; pip install 'gantrain[sweeps]'"
        )
    typed = MissingConfigException("not found", missing_cfg_file="hydra/launcher/jobli", options=["joblib"])
    assert str(translated(typed)).endswith("did you mean 'joblib'?")


def test_a_sweep_remembers_where_the_users_options_are(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    once = read(["-m", "--config-dir", "mine", "seed=0,1"])
    monkeypatch.chdir("/")
    again = read([*once.flags, *once.overrides])
    assert again.flags == once.flags
    assert again.flags[-2:] == ["--config-dir", str(tmp_path / "mine")]


@pytest.mark.parametrize(
    "torn", ["", "null", "[]", '{"jobs": 7}', '{"jobs": {"a": 1}}', '{"jobs": [{"folder": "0-a", "overrides": 5}]}']
)  # fmt: skip
def test_runs_are_found_beside_a_record_that_is_torn(tmp_path, torn):
    run = made(tmp_path / "0-a", ["objective=hinge"], {"metrics": {}})
    (tmp_path / "sweep.json").write_text(torn)
    assert set(jobs_of(tmp_path)) <= {"0-a"}
    assert [row.status for row in rows([run])] == ["finished"]


def test_one_signal_is_noted_and_a_second_leaves_with_the_code_of_the_first(tmp_path):
    def stopped() -> None:
        sweep = SweepFolder(tmp_path)
        with forward_signals(sweep):
            os.kill(os.getpid(), signal.SIGTERM)
            assert read_signals(sweep) == [signal.SIGTERM]
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="gantrain resume") as left:
        stopped()
    assert left.value.exit_code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_cannot_be_noted_is_not_lost(tmp_path):
    SweepFolder(tmp_path).stop_file.symlink_to("/dev/full")
    with pytest.raises(Interrupted) as left, forward_signals(SweepFolder(tmp_path)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert left.value.exit_code == 128 + signal.SIGTERM


def started(folder: Path, *words: str, jobs: int = 1) -> subprocess.Popen[str]:
    """Start a sweep of two runs that would take hours, and return when so many of them have a checkpoint."""
    command = [
        sys.executable,
        "-m",
        "gantrain",
        "-m",
        *SHORT,
        "train.steps=10000000",
        "train.checkpoint_every=5",
    ]
    process = subprocess.Popen(
        [*command, "seed=0,1", *words, f"run.dir={folder}"], text=True, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    while process.poll() is None:
        saved = {path.parents[2] for path in folder.glob("*/checkpoints/[0-9]*/state.json")}
        if len(saved) >= jobs:
            break
        time.sleep(0.05)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")])
def test_two_signals_at_once_end_a_sweep_and_all_that_it_started(tmp_path, words):
    process = started(tmp_path / "s", *words)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.02)  # two of a kind that are both pending are one
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "gantrain resume" in err
    assert "Traceback" not in err
    claimed = subprocess.run(["flock", "-w", "30", tmp_path / "s" / "0-seed0" / ".lock", "true"])
    assert claimed.returncode == 0  # nothing writes there any more


@pytest.mark.slow
def test_no_worker_outlives_its_job_when_a_sweep_was_killed(tmp_path):
    # A worker that has had no job yet runs none of this program's code, and waits joblib's 300 s.
    process = started(tmp_path / "s", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", jobs=2)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(process.pid)


def alive(group: int) -> bool:
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
