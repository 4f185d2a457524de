"""Several processes play one run: what they write together, and how all of them end. Threads stand for processes."""

from __future__ import annotations

import copy
import errno
import json
import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from composed import composed
from run_contents import events, fingerprint, lines
from thread_group import ThreadGroup, in_threads

from gantrain.config.options import Config
from gantrain.config.resolve import resolve
from gantrain.core.run_folder import RunFolder
from gantrain.errors import Diverged, Interrupted, to_user_error
from gantrain.training import housekeeping
from gantrain.training.batches import Batches
from gantrain.training.checkpoint import Checkpoint, load_checkpoint
from gantrain.training.evaluate import compute, evaluation_mode, supported_metrics, view
from gantrain.training.evaluations import samples
from gantrain.training.follower import Follower
from gantrain.training.run import run
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.stop_signal import StopSignal
from gantrain.training.vitals import VitalSigns

WORDS = [
    "dataset=ring", "dataset.n=300", "dataset.n_holdout=60", "device=cpu", "device.threads=1", "device.shards=4",
    "seed=5", "model.width=4", "train.batch_size=16", "metric=toy", "metric.n=60", "train.steps=8",
    "train.log_every=2", "train.evaluate_every=4", "train.sample_every=8", "train.checkpoint_every=4",
]  # fmt: skip
QUICK = [*WORDS, "metric=none", "train.sample_every=0"]


def config_of(words: list[str], size: int) -> Config:
    return resolve(composed(*words, f"device.processes={size}"))


def play(folder: Path, size: int, words: list[str] = WORDS, resumed: Checkpoint | None = None) -> Path:
    """Train in as many threads, into one folder."""
    config = config_of(words, size)
    results = in_threads(size, lambda group: run(copy.deepcopy(config), folder, resumed, group=group))
    assert results[1:] == [{}] * (size - 1)
    return folder


@pytest.fixture(scope="module", autouse=True)
def networks_one_at_a_time() -> Iterator[None]:
    """Threads share torch's generator, from which the initial weights of networks are drawn."""
    lock, create = threading.Lock(), TrainState.create

    def create_alone(*args: object) -> TrainState:
        with lock:
            return create(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainState, "create", create_alone)
        yield


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The run of one process."""
    return play(tmp_path_factory.mktemp("alone") / "run", 1)


@pytest.mark.parametrize("size", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_write_together_what_one_writes(size, alone, tmp_path):
    together = play(tmp_path / "run", size)
    assert fingerprint(together) == fingerprint(alone)
    assert lines(together) == lines(alone)
    assert events(together) == events(alone)
    results = [json.loads((folder / "result.json").read_text()) for folder in (together, alone)]
    for key in (
        "metrics",
        "errors",
        "floors",
        "floor_errors",
        "protocol",
        "health",
        "step",
        "images",
    ):
        assert results[0][key] == results[1][key], key


def test_processes_keep_the_best_state_that_one_keeps(tmp_path):
    tag = "fidelity/nearest_distance"
    words = [
        *WORDS,
        "metric=none",
        "metric.names=[nearest]",
        f"train.keep_best={tag}",
        "train.keep_checkpoints=1",
    ]
    words = [*words, "train.evaluate_every=1", "train.checkpoint_every=8"]
    one, two = (play(tmp_path / str(size), size, words) for size in (1, 2))
    best = json.loads((two / "result.json").read_text())["best"]
    assert best == json.loads((one / "result.json").read_text())["best"]
    values = {step: value for (step, name), value in lines(two).items() if name == tag}
    assert best["step"] == min(values, key=lambda step: (abs(math.log(values[step])), step))
    assert fingerprint(two) == fingerprint(one)
    kept = {int(path.name) for path in (two / "checkpoints").iterdir()}
    assert kept == {best["step"], 8}


@pytest.mark.parametrize("size", [2, 3, 4])
def test_samples_of_processes_are_those_of_one(size):
    words = ["dataset=ring", "dataset.n_holdout=2100", "metric.n=2100", "device=cpu", "objective=conditional"]
    config = resolve(composed(*words))
    data, runtime = config.dataset.load(0), Runtime(config.device)
    scene = view(config, data, TrainState.create(config, data.spec, runtime), runtime)

    def draw(group):
        with evaluation_mode(scene):  # 5 chunks, the last of 100
            return samples(scene, group).x

    with evaluation_mode(scene):
        expected = scene.fake[0]
    assert len(expected) == 2100
    assert all(torch.equal(x, expected) for x in in_threads(size, draw))


def test_metrics_of_processes_are_those_of_one():
    config = resolve(composed(*QUICK, "metric.names=[js,prdc,modes]"))
    data, runtime = config.dataset.load(0), Runtime(config.device)
    scene = view(config, data, TrainState.create(config, data.spec, runtime), runtime)
    metrics = supported_metrics(config, data)
    expected = compute(metrics, scene, final=True)
    for found in in_threads(3, lambda group: compute(metrics, scene, True, group)):
        assert found == expected
        assert list(found.estimates) == list(expected.estimates)  # in the order of metrics.jsonl


def ends_of(folder: Path, words: list[str]) -> list[BaseException]:
    """Return how each of two processes of a run ended that did not finish."""
    ends, config = dict[int, BaseException](), config_of(words, 2)

    def play_to_the_end(group) -> None:
        try:
            run(copy.deepcopy(config), folder, group=group)
        except BaseException as error:
            ends[group.rank] = error
            raise

    with suppress(Exception):
        in_threads(2, play_to_the_end)
    return [ends[0], ends[1]]


@pytest.mark.parametrize("rank", [0, 1])
def test_signal_of_any_process_stops_all_after_one_step(rank, tmp_path, monkeypatch):
    owner = Follower if rank else housekeeping.Housekeeping
    called = owner.__call__

    def call(self, state: TrainState) -> None:
        if state.step == 2:  # of which the others learn in the next step
            self.stop_signal._receive(signal.SIGTERM)
        called(self, state)

    monkeypatch.setattr(owner, "__call__", call)
    ends = ends_of(tmp_path / "run", QUICK)
    assert [type(end) for end in ends] == [Interrupted, Interrupted]
    assert [end.exit_code for end in ends] == [143, 143]
    assert all("stopped by SIGTERM at step 3; go on with" in str(end) for end in ends)
    folder = RunFolder(tmp_path / "run")
    assert [path.name for path in folder.checkpoints] == ["000003"]
    assert folder.result["exit_code"] == 143


def test_evaluation_that_a_signal_broke_off_is_made_up_for(tmp_path, alone, monkeypatch):
    compute_metrics = housekeeping.Housekeeping.compute_metrics

    def receive(self, state: TrainState) -> None:
        self.stop_signal._receive(signal.SIGTERM)
        compute_metrics(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(housekeeping.Housekeeping, "compute_metrics", receive)
        ends = ends_of(tmp_path / "run", WORDS)
    assert isinstance(ends[0], Interrupted)
    stopped = load_checkpoint(tmp_path / "run")
    assert stopped.step == 4
    assert (4, "divergence/js") not in lines(tmp_path / "run")
    resumed = play(tmp_path / "run", 4, resumed=stopped)
    assert fingerprint(resumed) == fingerprint(alone)
    assert lines(resumed) == lines(alone)
    assert events(resumed) == events(alone)


def test_budget_of_seconds_is_of_the_leaders_clock(tmp_path, monkeypatch):
    agree = StopSignal.agree

    def agree_after(self, seconds: float, limit: float | None) -> float:
        if not self._group.is_leader:
            return agree(self, seconds, limit)
        self.steps = getattr(self, "steps", 0) + 1
        return agree(self, 0.3 * self.steps, limit)

    monkeypatch.setattr(StopSignal, "agree", agree_after)
    folder = play(tmp_path / "run", 2, [*QUICK, "train.seconds=1"])
    assert RunFolder(folder).result["step"] == 5  # the first one after 1.2 s, in which all learn of it
    assert load_checkpoint(folder).seconds == pytest.approx(1.5)


def test_nan_in_one_process_ends_all(tmp_path, monkeypatch):
    take = Batches.__call__

    def take_broken(self, number: int):
        x, y = take(self, number)
        return (x * float("nan") if self.group.rank and number == 5 else x), y

    monkeypatch.setattr(Batches, "__call__", take_broken)
    ends = ends_of(tmp_path / "run", QUICK)
    assert [type(end) for end in ends] == [Diverged, Diverged]
    assert str(ends[0]) == str(ends[1])
    assert [path.name for path in RunFolder(tmp_path / "run").checkpoints] == ["000004"]


@pytest.mark.parametrize("owner, what", [(housekeeping, "save_checkpoint"), (VitalSigns, "measure")])
def test_error_of_the_leader_ends_all(owner, what, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(owner, what, fail)
    ends = ends_of(tmp_path / "run", WORDS)
    assert isinstance(ends[1], threading.BrokenBarrierError)  # as a process learns that the leader has ended
    assert (to_user_error(ends[0]).exit_code, RunFolder(tmp_path / "run").result["exit_code"]) == (5, 5)


def test_processes_with_other_weights_end_all(tmp_path, monkeypatch):
    called = Follower.__call__

    def call(self, state: TrainState) -> None:
        with torch.no_grad():
            next(state.D.parameters()).view(-1)[0].mul_(1 + 1e-6)
        called(self, state)

    monkeypatch.setattr(Follower, "__call__", call)
    ends = ends_of(tmp_path / "run", QUICK)
    what = "rank 1: holds other numbers than rank 0 after step 4, in D/"
    assert [str(end)[: len(what)] for end in ends] == [what, what]
    assert RunFolder(tmp_path / "run").checkpoints == []


def test_only_fast_sums_depend_on_the_number_of_processes():
    exact = config_of(QUICK, 2).device
    fast = replace(exact, reduce="fast")
    group = ThreadGroup(0, [None, None], threading.Barrier(2))
    assert Runtime(exact, group).environment() == Runtime(exact).environment()
    assert Runtime(fast, group).environment() == Runtime(fast).environment() | {"processes": 2}


@pytest.mark.slow
def test_evaluate_in_processes_writes_what_one_writes(alone, tmp_path, fresh):
    files = [tmp_path / f"{size}.json" for size in (1, 3)]
    for size, file in zip((1, 3), files, strict=True):
        words = ["metric.names=[js,prdc,modes,parzen]", "metric.n=50", f"out={file}"]
        assert fresh("evaluate", str(alone), *words, where=tmp_path, size=size)[0] == 0
    assert files[0].read_bytes() == files[1].read_bytes()
