"""Runs that are trained at once: each folder is that of the run alone, and each run ends for its own reasons."""

import os
import signal

import pytest
import torch
from composed import composed
from run_contents import fingerprint, lines

from gantrain.config.resolve import resolve
from gantrain.core.run_folder import RunFolder
from gantrain.errors import ConfigError, Interrupted
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.replicas import stacked_step
from gantrain.training.replicas.replica import Member
from gantrain.training.replicas.train import Clock, train_together
from gantrain.training.run import run
from gantrain.training.session import Session

SMALL = {
    "dataset": {"name": "ring", "n": 200, "n_holdout": 60},
    "model": {"name": "mlp", "width": 8},
    "optimizer": {"name": "adam"},
    "penalty": {"name": "r1"},
}
TRAIN = {"steps": 6, "batch_size": 8, "log_every": 2, "evaluate_every": 3, "checkpoint_every": 3}


@pytest.fixture(autouse=True)
def untraced(monkeypatch):
    """Play the vectorised step as it is, without a graph."""
    monkeypatch.setattr(stacked_step, "graph_of", lambda function, *_: function)


def config(seed=0, **groups):
    plain = composed("dataset=ring", "device=cpu", "metric=fast", "model=mlp", "name=test")
    plain |= SMALL | {name: SMALL.get(name, {}) | own for name, own in groups.items()}
    train = TRAIN | {"sample_every": 0} | groups.get("train", {})
    plain["metric"] |= {"names": ["js", "prdc"], "n": 50}
    return resolve(plain | {"seed": seed, "train": train})


def member(folder, config, resumed=None, **session):
    return Member(config, folder, Session(bar=False, **session), resumed)


def statuses(*folders):
    return [(one.result["status"], one.result.get("exit_code")) for one in map(RunFolder, folders)]


def assert_close(folder, other, tolerance=1e-5):
    """Both runs saved and logged the same, up to rounding."""
    ours, theirs = load_checkpoint(folder), load_checkpoint(other)
    assert ours.step == theirs.step
    assert ours.tensors.keys() == theirs.tensors.keys()
    for name, tensor in ours.tensors.items():
        torch.testing.assert_close(tensor, theirs.tensors[name], rtol=tolerance, atol=tolerance, msg=name)
    mine, expected = lines(folder), lines(other)
    assert mine.keys() == expected.keys()
    for key, value in mine.items():
        assert value == pytest.approx(expected[key], rel=1e-3, abs=1e-4), key


def test_each_folder_is_that_of_the_run_alone(tmp_path):
    configs = [
        config(3),
        config(4, optimizer={"g_lr": 3e-4, "schedule": "linear"}, penalty={"gamma": 0.3}),
        config(5, train={"ema": 0.5}),
    ]
    train_together([member(tmp_path / f"{i}", one) for i, one in enumerate(configs)])
    assert statuses(*(tmp_path / f"{i}" for i in range(3))) == [("finished", None)] * 3
    for i, one in enumerate(configs):
        ours, solo = tmp_path / f"{i}", tmp_path / f"solo{i}"
        theirs = run(one, solo, session=Session(bar=False))
        assert_close(ours, solo)
        assert RunFolder(ours).config == RunFolder(solo).config
        assert RunFolder(ours).result.keys() == theirs.keys()
        files = [{path.relative_to(root).parts[0][:10] for path in root.rglob("*")} for root in (ours, solo)]
        assert files[0] == files[1]


@pytest.mark.slow
def test_one_of_them_is_resumed_alone(tmp_path):
    half = {"steps": 3, "log_every": 3}  # the last step is logged in any case
    configs = [config(seed, train=half, optimizer={"horizon": 6}) for seed in (0, 1)]
    train_together([member(tmp_path / f"{one.seed}", one) for one in configs])
    whole = config(1, train={"log_every": 3})
    run(whole, tmp_path / "1", load_checkpoint(tmp_path / "1"), Session(bar=False))
    run(whole, tmp_path / "solo", session=Session(bar=False))
    assert_close(tmp_path / "1", tmp_path / "solo")
    assert "replicas 2 -> 1" in (tmp_path / "1" / "gantrain.log").read_text()


def test_signal_saves_all_and_they_go_on_with_the_same_bits(tmp_path):
    configs = [config(seed, train={"checkpoint_every": 0}) for seed in (0, 1, 2)]
    train_together([member(tmp_path / f"whole{one.seed}", one) for one in configs])
    folders = [tmp_path / f"{one.seed}" for one in configs]

    def stop(step, *_):
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    watches = [None, stop, None]
    pairs = list(zip(folders, configs, strict=True))
    train_together([member(*pair, watch=watch) for pair, watch in zip(pairs, watches, strict=True)])
    assert statuses(*folders) == [("interrupted", 143)] * 3
    assert all("at step 3" in RunFolder(folder).result["error"] for folder in folders)
    assert [str(folder) in RunFolder(folder).result["error"] for folder in folders] == [True] * 3
    train_together([member(*pair, load_checkpoint(pair[0])) for pair in pairs])
    assert statuses(*folders) == [("finished", None)] * 3
    for folder, one in pairs:
        whole = tmp_path / f"whole{one.seed}"
        assert fingerprint(folder) == fingerprint(whole)
        assert lines(folder) == lines(whole)


@pytest.mark.slow
def test_run_that_diverges_does_not_stop_the_others(tmp_path):
    rule = {"optimizer": {"name": "sgd", "schedule": "constant"}}
    wild = {"optimizer": rule["optimizer"] | {"d_lr": 1e3, "g_lr": 1e3}}
    long = {"train": {"steps": 10, "evaluate_every": 0}}
    configs = [config(0, **rule, **long), config(0, **wild, **long)]
    train_together([member(tmp_path / f"{i}", one) for i, one in enumerate(configs)])
    assert statuses(tmp_path / "0", tmp_path / "1") == [("finished", None), ("diverged", 6)]
    error = RunFolder(tmp_path / "1").result["error"]
    assert "is not finite" in error
    with pytest.raises(Exception, match="is not finite") as alone:
        run(configs[1], tmp_path / "solo", session=Session(bar=False))
    assert str(alone.value).split(" (")[0] == error.split(" (")[0]
    run(configs[0], tmp_path / "good", session=Session(bar=False))
    assert_close(tmp_path / "0", tmp_path / "good")


def test_error_of_all_is_the_result_of_each(tmp_path, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(stacked_step, "graph_of", fail)
    folders = [tmp_path / f"{seed}" for seed in (0, 1)]
    with pytest.raises(MemoryError):
        train_together([member(folder, config(seed)) for seed, folder in enumerate(folders)])
    assert statuses(*folders) == [("failed", 1)] * 2
    assert "there is not enough" in RunFolder(folders[0]).result["error"]


def test_data_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("gantrain.training.replicas.train.physical_memory", lambda: 8000)
    folders = [tmp_path / f"{seed}" for seed in (0, 1)]
    with pytest.raises(ConfigError, match=r"sweep\.replicas: 2 runs at once would hold 8\.32 kB of data"):
        train_together([member(folder, config(seed)) for seed, folder in enumerate(folders)])
    assert statuses(*folders) == [("failed", 2)] * 2


def test_second_signal_ends_all_without_saving(tmp_path):
    folders = [tmp_path / f"{seed}" for seed in (0, 1)]

    def stop_twice(*_):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)

    members = [member(folder, config(seed), watch=stop_twice) for seed, folder in enumerate(folders)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gantrain.training.stop_signal.ECHO_SECONDS", -1.0)
        with pytest.raises(Interrupted, match="without saving"):
            train_together(members)
    assert statuses(*folders) == [("interrupted", 143)] * 2
    assert not (folders[1] / "checkpoints").exists()


def test_clock_stands_still_while_it_is_stopped(monkeypatch):
    seconds = iter([1.0, 3.0, 10.0, 10.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(seconds))
    clock = Clock()
    clock.go()
    clock.stop()
    assert clock() == 2.0
    clock.go()
    assert clock() == 2.5
