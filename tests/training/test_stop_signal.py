"""Signals that stop a run at every moment of its life: nothing is lost, and resume ends with the same bits."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from run_contents import events, fingerprint, lines

from gantrain.core.run_folder import RunFolder
from gantrain.training import evaluations, housekeeping, open_run, together
from gantrain.training import start as start_module
from gantrain.training.state import TrainState
from gantrain.training.stop_signal import ECHO_SECONDS

WORDS = [
    "dataset=ring", "dataset.n=300", "dataset.n_holdout=100", "device=cpu", "device.threads=1", "seed=5",
    "model.width=4", "train.batch_size=16", "metric=toy", "metric.n=60", "train.steps=12", "train.log_every=2",
    "train.evaluate_every=8", "train.sample_every=8", "train.checkpoint_every=6",
]  # fmt: skip
QUICK = [*WORDS, "metric=none", "train.sample_every=0"]


def send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


def before(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, act: Callable[[], None], call: int = 1
) -> None:
    """Act once, before the given call of a function."""
    original, calls = getattr(owner, name), []

    def wrapped(*args, **words):
        calls.append(None)
        if len(calls) == call:
            act()
        return original(*args, **words)

    monkeypatch.setattr(owner, name, wrapped)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The run that no signal stopped."""
    from gantrain.cli.main import main

    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main([*WORDS, f"run.dir={folder}"]) == 0
    return folder


def assert_same(folder: Path, whole: Path) -> None:
    assert fingerprint(folder) == fingerprint(whole)
    assert lines(folder) == lines(whole)
    assert events(folder) == events(whole)
    results = [json.loads((path / "result.json").read_text()) for path in (folder, whole)]
    assert results[0]["status"] == "finished"
    for key in ("metrics", "floors", "protocol", "step"):
        assert results[0][key] == results[1][key], key
    pictures = [
        {path.name: path.read_bytes() for path in (one / "samples").iterdir()} for one in (folder, whole)
    ]
    assert pictures[0] == pictures[1]


# Where a signal arrives: before which call of what; then what the error says, and the step that is saved.
MOMENTS = {
    "data": (together, "prepare", 1, "gantrain: stopped by", None),
    "folder": (start_module, "write_config", 1, "before it trained; nothing was lost", None),
    "hydra": (start_module, "run_in_job_folder", 1, "before it trained; go on with", None),
    "networks": (TrainState, "create", 1, "before it trained; go on with", None),
    "first step": (housekeeping.Housekeeping, "begin", 1, "at step 1; go on with", 1),
    "log": (housekeeping.Housekeeping, "log_scalars", 4, "at step 8; go on with", 8),
    "evaluation": (evaluations, "compute", 1, "at step 8; go on with", 8),
    "figures": (housekeeping.Housekeeping, "report", 1, "at step 8; go on with", 8),
    "save": (housekeeping, "save_checkpoint", 1, "at step 6; go on with", 6),
    "last evaluation": (evaluations, "compute", 2, "after the last step, before its result; go on with", 12),
    "last words": (open_run, "tail_means", 1, None, 12),
}  # fmt: skip
NAMES = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"]


FAST = ("hydra", "evaluation", "last evaluation")


@pytest.mark.parametrize(
    "moment, name",
    [
        pytest.param(moment, name, marks=() if moment in FAST else pytest.mark.slow)
        for moment, name in zip(MOMENTS, 2 * NAMES, strict=False)
    ],
)
def test_signal_loses_nothing_at_any_moment(moment, name, whole, tmp_path, run_cli, monkeypatch):
    owner, function, call, what, step = MOMENTS[moment]
    number, folder = getattr(signal, name), tmp_path / "run"
    with monkeypatch.context() as patch:
        before(patch, owner, function, lambda: send(number), call)
        code, out, err = run_cli(*WORDS, f"run.dir={folder}")
    if what is None:  # complete but for its result
        assert (code, "Traceback" in err) == (0, False)
        assert_same(folder, whole)
        return
    error = err.splitlines()[-1]
    assert code == 128 + number
    assert error.startswith("gantrain: error: ")
    assert f"stopped by {name}" in error
    assert what in error
    run_folder = RunFolder(folder)
    assert (int(run_folder.checkpoints[-1].name) if run_folder.checkpoints else None) == step
    if "nothing was lost" in error:
        assert run_cli(*WORDS, f"run.dir={folder}")[0] == 0
    else:
        status = "stopped" if moment == "hydra" else "interrupted"  # no result before the run itself began
        assert (run_folder.status, run_folder.result.get("exit_code", code)) == (status, code)
        assert error.endswith(f"gantrain resume {folder}")
        code, out, err = run_cli("resume", folder)
        assert (code, "begins anew" in out) == (0, step is None), err
    assert_same(folder, whole)


def test_signal_that_is_repeated_at_once_is_one_request(tmp_path, run_cli, monkeypatch):
    before(
        monkeypatch, housekeeping.Housekeeping, "log_scalars", lambda: send(15, 15, 2), 4
    )  # as timeout sends it
    code, _, err = run_cli(*QUICK, f"run.dir={tmp_path / 'run'}")
    assert (code, "stopped by SIGTERM at step 8; " in err) == (143, True)


def test_signal_after_another_ends_the_run_without_saving(tmp_path, run_cli, monkeypatch):
    def interrupt() -> None:
        send(signal.SIGINT)
        time.sleep(2 * ECHO_SECONDS)
        send(signal.SIGTERM, signal.SIGTERM, signal.SIGINT)

    before(monkeypatch, housekeeping.Housekeeping, "log_scalars", interrupt, 4)
    code, _, err = run_cli(*QUICK, f"run.dir={tmp_path / 'run'}")
    assert (code, "stopped at once, without saving; go on with" in err) == (130, True)
    run_folder = RunFolder(tmp_path / "run")
    assert (run_folder.status, [path.name for path in run_folder.checkpoints]) == ("interrupted", ["000006"])


def test_signal_after_a_warning_is_no_reason_to_hurry(tmp_path, run_cli, monkeypatch):
    def warn() -> None:  # as Slurm does some time ahead of the end, and the kernel once a second
        for number in (signal.SIGUSR1, signal.SIGXCPU, signal.SIGXCPU, signal.SIGTERM):
            send(number)
            time.sleep(1.2 * ECHO_SECONDS)

    before(monkeypatch, housekeeping.Housekeeping, "log_scalars", warn, 4)
    code, _, err = run_cli(*QUICK, f"run.dir={tmp_path / 'run'}")
    assert (code, "stopped by SIGUSR1 at step 8; " in err) == (128 + signal.SIGUSR1, True)


def test_signal_that_nohup_ignores_stops_no_run(tmp_path, run_cli, monkeypatch):
    before(monkeypatch, housekeeping.Housekeeping, "log_scalars", lambda: send(signal.SIGHUP), 4)
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_cli(*QUICK, f"run.dir={tmp_path / 'run'}")[0] == 0
    finally:
        signal.signal(signal.SIGHUP, previous)
