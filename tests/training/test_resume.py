"""A run that was stopped, killed, moved or copied goes on in a fresh process, bit for bit as if never stopped."""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import os
import random
import shutil
import threading
from pathlib import Path

import pytest
import torch
from composed import composed
from run_contents import events, fingerprint, lines

from gantrain.cli.main import main
from gantrain.config.resolve import resolve
from gantrain.core.folder_lock import is_locked, run_folder_lock
from gantrain.core.run_folder import RunFolder
from gantrain.errors import CheckpointError, OutputError, to_user_error
from gantrain.training.checkpoint import load_checkpoint, save_checkpoint
from gantrain.training.eager import eager_players
from gantrain.training.play import Play
from gantrain.training.run import run
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState, trainable_weights

SMALL = [
    "device=cpu",
    "device.threads=1",
    "seed=5",
    "model.width=4",
    "train.batch_size=16",
    "train.ema=0.9",
    "train.sample_every=0",
    "metric=none",
]
HARD = ["penalty=r1", "penalty.gamma=0.5", "train.d_steps=2"]  # double backward, several updates of D
RING = ["dataset=ring", "dataset.n=500", "dataset.n_holdout=100"]


def train(folder: Path, *words: str) -> Path:
    """Train in this process, into a folder."""
    run(resolve(composed(*SMALL, *words)), folder)
    return folder


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return time and bytes of every file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


CASES = {
    "digits": [*HARD, "metric=fast", "metric.n=40"],
    "ring": [*HARD, *RING, "metric=fast", "metric.n=40", "train.sample_every=20"],
    "conditional": ["objective=conditional", "optimizer.schedule=linear", "train.update=simultaneous"],
}


@pytest.mark.parametrize("case", [pytest.param("digits", marks=pytest.mark.slow), "ring", "conditional"])
def test_resume_in_a_fresh_process_25_and_35_steps_are_60(tmp_path, case, fresh):
    whole = train(tmp_path / "whole", *CASES[case], "train.steps=60")
    part = train(tmp_path / "part", *CASES[case], "train.steps=25", "optimizer.horizon=60")
    assert fingerprint(part)["step"] == 25
    before = contents(part)
    part = (
        Path(shutil.copytree(part, tmp_path / "a copy ü"))
        if case == "ring"
        else part.rename(tmp_path / "moved")
    )
    code, said = fresh("resume", str(part), "train.steps=60", where=tmp_path)
    assert code == 0, said
    assert "not bit for bit" not in said
    assert fingerprint(part) == fingerprint(whole)
    results = [json.loads((folder / "result.json").read_text()) for folder in (part, whole)]
    for key in ("metrics", "floors", "protocol", "images", "step", "status"):
        assert results[0][key] == results[1][key], key
    assert json.loads((part / "config.json").read_text())["optimizer"]["horizon"] == 60
    if case == "ring":
        assert contents(tmp_path / "part") == before  # a copy leaves its original alone
        assert (part / "samples" / "000060.png").read_bytes() == (
            whole / "samples" / "000060.png"
        ).read_bytes()


@pytest.mark.slow
def test_resume_after_two_kills_equals_the_unbroken_run(tmp_path, fresh):
    every = "log_every=5 sample_every=15 evaluate_every=25 checkpoint_every=12 keep_checkpoints=2 steps=60"
    words = [*HARD, *RING, "metric=toy", "metric.n=60", *(f"train.{word}" for word in every.split())]
    whole, broken = train(tmp_path / "whole", *words), tmp_path / "broken"
    at = random.Random(0).randrange(46, 48)
    # Beyond the checkpoint of step 36: lines and a picture to step 45, and half a window of means.
    code, said = fresh(*SMALL, *words, f"run.dir={broken}", where=tmp_path, moment=f"step {at}")
    assert code == -9, said
    assert load_checkpoint(broken).step == 36
    assert max(step for step, _ in lines(broken)) == 45
    # In the middle of the first save after that.
    code, said = fresh("resume", str(broken), where=tmp_path, moment="save 000048")
    assert code == -9, said
    assert load_checkpoint(broken).step == 36
    code, said = fresh("resume", str(broken), where=tmp_path)
    assert code == 0, said
    assert fingerprint(broken) == fingerprint(whole)
    assert lines(broken) == lines(whole)
    assert events(broken) == events(whole)
    assert {(0, "samples/density"), (60, "samples/density"), (60, "divergence/js")} <= set(events(broken))
    pictures = [{p.name: p.read_bytes() for p in (f / "samples").iterdir()} for f in (broken, whole)]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 5
    assert [p.name for p in (broken / "checkpoints").iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("case", ["digits", "ring", "conditional"])
def test_evaluating_and_sampling_never_change_training(tmp_path, case):
    words = {"digits": [], "ring": RING, "conditional": ["objective=conditional"]}[case]
    never = [f"train.{what}_every=0" for what in ("log", "sample", "evaluate", "checkpoint")]
    often = [
        f"train.{what}_every={n}"
        for what, n in (("log", 1), ("sample", 5), ("evaluate", 5), ("checkpoint", 3))
    ]
    names = "metric.names=[js,prdc,modes]" if case == "ring" else "metric.names=[js,prdc]"
    blind = fingerprint(train(tmp_path / "blind", *words, *never, "train.steps=15"))
    seen = fingerprint(train(tmp_path / "seen", *words, *often, names, "metric.n=30", "train.steps=15"))
    assert {k: v for k, v in blind.items() if not k.startswith("means/")} == seen


def test_seed_decides_the_run(tmp_path):
    runs = [
        train(tmp_path / str(i), *RING, "train.steps=3", f"seed={seed}") for i, seed in enumerate((1, 1, 2))
    ]
    one, again, other = map(fingerprint, runs)
    assert one == again
    assert all(one[name] != other[name] for name in one if name.startswith(("G/", "D/")) and "weight" in name)


@pytest.fixture(scope="module")
def eight(tmp_path_factory) -> Path:
    words = [*RING, "train.steps=8", "train.checkpoint_every=4", "optimizer.horizon=20"]
    return train(tmp_path_factory.mktemp("eight") / "run", *words)


@pytest.fixture
def finished(eight, tmp_path) -> Path:
    """A run of eight steps, this test's own."""
    return Path(shutil.copytree(eight, tmp_path / "run"))


@pytest.mark.parametrize("words", [[], ["train.steps=8"], ["train.steps=3"], ["train.log_every=1"]], ids=str)
def test_resume_leaves_a_finished_run_as_it_is(finished, words, capfd):
    before = contents(finished)
    for _ in range(2):
        assert main(["resume", str(finished), *words]) == 0
        said = capfd.readouterr()
        assert "already finished at step 8" in said.out
        assert said.err == ""
    assert contents(finished) == before


def test_run_folder_lock_refuses_a_second_process(finished, tmp_path, fresh):
    before = contents(finished)
    with run_folder_lock(finished):
        code, said = fresh("resume", str(finished), "train.steps=20", where=tmp_path)
    assert code == 5
    (line,) = said.splitlines()
    assert line.startswith(f"gantrain: error: {finished}: another gantrain is writing here; ")
    assert contents(finished) == before
    assert main(["resume", str(finished), "train.steps=9"]) == 0  # the claim ended with its holder
    assert load_checkpoint(finished).step == 9


def test_run_folder_lock_survives_a_glance_at_the_folder(tmp_path):
    (tmp_path / ".lock").touch()
    handle = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)  # as gantrain show does, for a moment
    glance = threading.Timer(0.05, os.close, [handle])
    glance.start()
    with run_folder_lock(tmp_path):
        assert is_locked(tmp_path)
    glance.join()
    assert not is_locked(tmp_path)


def test_run_folder_lock_names_a_disk_without_locks(tmp_path, monkeypatch):
    (tmp_path / ".lock").touch()

    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", without)
    with (
        pytest.raises(OutputError, match=r"cannot be locked \(No locks available\)"),
        run_folder_lock(tmp_path),
    ):
        pass
    assert not is_locked(tmp_path)


def test_result_of_a_full_disk_has_the_exit_code_of_the_process(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gantrain.training.begin.train", full)
    with pytest.raises(OSError, match="No space") as found:
        run(resolve(composed(*SMALL, *RING, "train.steps=2")), tmp_path / "run")
    fault, result = to_user_error(found.value), json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["status"], result["error"], result["exit_code"]) == ("failed", str(fault), fault.exit_code)
    assert fault.exit_code == 5


def test_resume_of_a_frozen_weight_needs_no_moments():
    config = resolve(composed(*SMALL, *RING, "train.steps=2"))

    def state() -> TrainState:
        runtime = Runtime(config.device)
        made = TrainState.create(config, config.dataset.spec(), runtime)
        next(made.D.parameters()).requires_grad_(False)
        made.opt_D = config.optimizer.init(list(trainable_weights(made.D).values()))
        return made

    before, after = state(), state()
    learner = eager_players(before, Play.create(config, Runtime(config.device))).D
    learner.differentiate([lambda D: (sum(w.square().sum() for w in learner.weights.values()), {"tags": {}})])
    learner.update(1e-3, {})
    held = before.tensors()
    after.load(held, 1, "here")
    assert after.tensors().keys() == held.keys()
    assert all(torch.equal(value, held[name]) for name, value in after.tensors().items())
    lost = [name for name in held if name.startswith("opt_D/1/")]
    assert lost
    with pytest.raises(CheckpointError, match="opt_D/1/"):
        state().load({name: value for name, value in held.items() if name not in lost}, 1, "here")


@pytest.mark.parametrize(
    "was",
    [
        {"torch": "1.13.1"},
        {"threads": 3},
        {"device": "cuda:0", "machine": "arm64"},
        {"precision": None},
        {"layout": "channels_last"},  # of images, and these are points
        {},
    ],
    ids=str,
)
def test_resume_warns_of_a_changed_environment(finished, was, capfd):
    read = load_checkpoint(finished)
    now = read.environment
    assert now["torch"] == torch.__version__
    assert now["threads"] == 1
    described = {"config": read.config, "environment": now | was, "spec": read.spec}
    save_checkpoint(finished, read.step, read.tensors, described, 2)
    assert main(["resume", str(finished), "train.steps=9"]) == 0
    warned = [
        line
        for line in capfd.readouterr().err.splitlines()
        if "this run will not continue bit for bit" in line
    ]
    assert len(warned) == bool(was)
    for key, value in was.items():
        assert f"{key} {value} -> {now[key]}" in warned[0]


def test_resume_after_a_corrupt_checkpoint_uses_the_one_before(tmp_path, finished, capfd):
    whole = train(
        tmp_path / "whole", *RING, "train.steps=12", "train.checkpoint_every=4", "optimizer.horizon=20"
    )
    older, newest = RunFolder(finished).checkpoints
    content = bytearray((newest / "tensors.safetensors").read_bytes())
    content[-3] ^= 1
    (newest / "tensors.safetensors").write_bytes(content)
    capfd.readouterr()
    assert main(["resume", str(finished), "train.steps=12"]) == 4
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith(f"use {older}")
    assert main(["resume", str(older), "train.steps=12"]) == 0
    assert fingerprint(finished) == fingerprint(whole)
    assert lines(finished) == lines(whole)


def test_resume_from_an_older_checkpoint(tmp_path, finished):
    whole = train(
        tmp_path / "whole", *RING, "train.steps=6", "train.checkpoint_every=4", "optimizer.horizon=20"
    )
    assert main(["resume", str(RunFolder(finished).checkpoints[0]), "train.steps=6"]) == 0
    assert fingerprint(finished) == fingerprint(
        whole
    )  # the newest, not the one of the abandoned continuation
    assert sorted({step for step, _ in lines(finished)}) == [6]


@pytest.mark.slow
def test_resume_many_times_is_one_run(tmp_path):
    whole = train(tmp_path / "whole", *RING, *HARD, "train.steps=12")
    part = train(tmp_path / "part", *RING, *HARD, "train.steps=1", "optimizer.horizon=12")
    for stop in itertools.chain(range(2, 12, 3), [12]):
        assert main(["resume", str(part), f"train.steps={stop}"]) == 0
    assert fingerprint(part) == fingerprint(whole)
