"""A job goes on from the checkpoint of an earlier attempt, if its config is the same."""

import json
from pathlib import Path

import pytest

import gantrain
from gantrain.core.run_folder import RunFolder
from gantrain.errors import ConfigError
from gantrain.sweeps.task import Task, member_of, train_or_resume
from gantrain.training.checkpoint import _digest, load_checkpoint


@pytest.fixture
def task(tmp_path) -> Task:
    """A job of 2 steps with a checkpoint of step 1, made by a version that had no ``train.unroll``."""
    words = [
        "dataset=ring",
        "dataset.n=50",
        "dataset.n_holdout=9",
        "device=cpu",
        "model.width=4",
        "metric=none",
    ]
    more = ["train.steps=1", "train.batch_size=4", "train.sample_every=0", "optimizer.horizon=2"]
    run = gantrain.train([*words, *more, f"run.dir={tmp_path / '0-job'}"])
    plain = run.config | {"train": run.config["train"] | {"steps": 2}}
    file = load_checkpoint(run.path).path / "state.json"
    state = json.loads(file.read_text())
    del state["config"]["train"]["unroll"]
    file.write_text(json.dumps(state | {"state_sha256": _digest(state)}))
    return Task(plain, RunFolder(Path(run.path)), "gantrain", {})


def test_job_goes_on_from_a_checkpoint_without_younger_keys(task):
    train_or_resume(task)
    assert RunFolder(task.run.path).result["step"] == 2


@pytest.mark.parametrize(
    ("before", "now"), [((4, None), (2, None)), ((2, None), (1, None)), ((1, 4), (2, None))]
)
def test_job_goes_on_with_its_shards_in_other_processes(task, before, now):
    file = load_checkpoint(task.run.path).path / "state.json"
    state = json.loads(file.read_text())
    for place, (processes, shards) in ((state["config"], before), (task.plain, now)):
        place["device"] |= {"processes": processes, "shards": shards}
        place["train"]["batch_size"] = 32
    del state["state_sha256"]
    file.write_text(json.dumps(state | {"state_sha256": _digest(state)}))
    assert member_of(task, task.plain, task.run, {}).config.device.shards == (before[1] or before[0])


def test_job_of_another_value_of_a_younger_key_is_refused(task):
    task.plain["train"]["unroll"] = 1
    with pytest.raises(ConfigError, match=r"made with another train\.unroll; ") as fault:
        train_or_resume(task)
    assert str(task.run.path) in str(fault.value)
