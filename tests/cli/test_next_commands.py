"""What a message advises is what the next command does: each command that is printed is typed."""

import json
import os
import re
import shlex
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from run_contents import fingerprint

from gantrain.core.folder_lock import run_folder_lock
from gantrain.core.run_folder import RunFolder
from gantrain.errors import Diverged
from gantrain.training import begin, evaluations, housekeeping
from gantrain.training import run as run_module

WORDS = [
    "dataset=ring", "dataset.n=300", "dataset.n_holdout=100", "device=cpu", "seed=5", "model.width=4", "metric=js",
    "metric.n=50", "train.batch_size=16", "train.steps=6", "train.sample_every=0", "train.log_every=2",
]  # fmt: skip
ADVISED = ("resume", "sample", "evaluate", "report", "show", "compare", "tensorboard")


def commands_in(text: str) -> set[tuple[str, ...]]:
    """Return the words of each whole command in what was printed, without ``gantrain``."""
    found = re.findall(rf"(?:: |\s)gantrain ((?:{'|'.join(ADVISED)})\s[^;\n]*)", text)
    return {tuple(shlex.split(command)) for command in found if "RUN" not in command}


def kill(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def leave_at(owner: object, name: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(owner, name, kill)


class Killed(BaseException):
    """What a test raises in place of SIGKILL: nothing more is written."""


def die(*_: object, **__: object) -> None:
    raise Killed


def diverge(*_: object, **__: object) -> None:
    raise Diverged("run", "loss/d is not finite", "lower the learning rates")


# How a run ends: what is patched, and the words that are added.
ENDS = {
    "while its data load": (leave_at(run_module.TrainState, "create"), []),
    "before its first step": (leave_at(housekeeping.Housekeeping, "begin"), []),
    "in its last evaluation": (leave_at(evaluations, "compute"), ["train.log_every=0"]),
    "diverged": (lambda patch: patch.setattr(begin, "train", diverge), []),
    "finished": (lambda _: None, []),
}


SLOW = ("before its first step", "diverged")


@pytest.fixture
def run_of(tmp_path, run_cli) -> Iterator[Callable[[str], str]]:
    """Return ``run_of(end) -> what was printed``: a run in the folder ``run`` that ends so."""

    def start(end: str) -> str:
        patched, words = ENDS[end]
        with pytest.MonkeyPatch.context() as patch:
            patched(patch)
            _, out, err = run_cli(*WORDS, *words, f"run.dir={tmp_path / 'run'}")
        return out + err

    return start


@pytest.mark.parametrize(
    "end", [pytest.param(end, marks=pytest.mark.slow) if end in SLOW else end for end in ENDS]
)
def test_commands_that_are_advised_are_not_refused(end, run_of, run_cli, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "execv", lambda *_: 0)  # TensorBoard would serve for ever
    advised, folder, kept = commands_in(run_of(end)), tmp_path / "run", tmp_path / "kept"
    shutil.copytree(folder, kept)

    def run_in(state: Path, *argv: object, codes: Sequence[int | None] = (0, None)) -> str:
        shutil.rmtree(folder)
        shutil.copytree(state, folder)
        code, out, err = run_cli(*argv)
        assert code in codes, (argv, out, err)  # None of TensorBoard, which is not started
        return out + err

    for argv in ([*WORDS, f"run.dir={folder}"], *([verb, folder] for verb in ("show", "sample", "evaluate"))):
        advised |= commands_in(run_in(kept, *argv, codes=range(7)))
    assert ("resume", str(folder)) in {command[:2] for command in advised}
    ended = commands_in(run_in(kept, "resume", folder))
    after = shutil.copytree(folder, tmp_path / "after")
    for state, commands in ((kept, advised), (after, ended - advised)):
        for command in sorted(commands):
            run_in(state, *command)


def test_commands_are_not_advised_while_the_run_goes_on(run_of, run_cli, tmp_path):
    run_of("while its data load")
    folder = tmp_path / "run"
    with run_folder_lock(folder):
        for argv in (
            [*WORDS, f"run.dir={folder}"],
            ["sample", folder],
            ["evaluate", folder],
            ["show", folder],
        ):
            _, out, err = run_cli(*argv)
            assert "resume" not in out + err, (argv, out, err)


# ------------------------------------------------------------------------------------- before the first checkpoint


def test_resume_begins_a_killed_run_anew_with_the_same_bits(run_cli, tmp_path, monkeypatch):
    assert run_cli(*WORDS, f"run.dir={tmp_path / 'whole'}")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr("gantrain.training.run.write_result", lambda *_: None)
        patch.setattr(housekeeping, "save_checkpoint", die)
        run_cli(*WORDS, f"run.dir={tmp_path / 'run'}")
    run = RunFolder(tmp_path / "run")
    assert (run.status, run.checkpoints) == ("stopped", [])
    code, out, err = run_cli("resume", run.path, "train.checkpoint_every=2")
    assert (code, "has no checkpoint yet, so it begins anew from its own config" in out) == (0, True), err
    assert fingerprint(run.path) == fingerprint(tmp_path / "whole")
    assert len(run.checkpoints) == 2
    logged = [(row["step"], tag) for row in RunFolder(run.path).history for tag in row if tag != "step"]
    assert len(logged) == len(set(logged))


@pytest.mark.parametrize("word, code", [("model.width=8", 2), ("seed=6", 2), ("train.nothing=1", 2)])
def test_resume_of_a_run_without_checkpoint_stays_that_run(word, code, run_of, run_cli, tmp_path):
    run_of("while its data load")
    assert run_cli("resume", tmp_path / "run", word)[0] == code


def test_resume_never_begins_a_finished_run_anew(run_of, run_cli, tmp_path):
    run_of("finished")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    code, _, err = run_cli("resume", tmp_path / "run")
    assert (code, "holds no checkpoint; give a run folder that has checkpoints/, or train again" in err) == (
        4,
        True,
    )
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "finished"


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", ".gantrain-0123.part"]], ids=str)
def test_folder_of_a_run_killed_before_its_config_is_free(left, run_cli, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in left:
        (folder / name).touch()
    assert run_cli(*WORDS, "metric=none", "train.steps=1", f"run.dir={folder}")[0] == 0


def test_resume_locks_the_folder_before_it_reads_the_checkpoint(run_of, run_cli, tmp_path, monkeypatch):
    run_of("finished")
    monkeypatch.setattr("gantrain.training.checkpoint._read", die)
    # In another thread, since this one would be granted the lock twice.
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with run_folder_lock(tmp_path / "run"):
            locked.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait(60)
    code, _, err = run_cli("resume", tmp_path / "run", "train.steps=9")
    done.set()
    thread.join()
    assert (code, "another gantrain is writing here; " in err) == (5, True)
