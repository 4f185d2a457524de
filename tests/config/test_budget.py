"""One of steps, images and time ends a run: where it stops, what it then writes, and how it goes on."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from composed import composed
from hypothesis import given
from hypothesis import strategies as st

from gantrain.config.cautions import cautions
from gantrain.config.options import ENDLESS, Train
from gantrain.config.resolve import resolve
from gantrain.core.run_folder import RunFolder
from gantrain.errors import ConfigError, Interrupted
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.run import run
from gantrain.training.runtime import Runtime
from gantrain.training.session import Session

SMALL = [
    "device=cpu",
    "device.threads=1",
    "dataset=ring",
    "dataset.n=500",
    "dataset.n_holdout=100",
    "model.width=4",
    "metric=none",
    "train.batch_size=16",
    "train.sample_every=0",
]


def config(*words: str):
    return resolve(composed(*SMALL, *words))


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder).tensors


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@given(
    images=st.integers(1, 10**6),
    batch=st.integers(2, 500),
    d_steps=st.integers(1, 7),
    game=st.booleans(),
)
def test_budget_of_images_is_whole_steps(images, batch, d_steps, game):
    options = Train(images=images, batch_size=batch, d_steps=d_steps)
    options.resolve_budget(game)
    each = batch * (d_steps if game else 1)
    assert options.steps * each <= images < (options.steps + 1) * each


@given(
    step=st.integers(1, 10**5),
    seconds=st.floats(1e-3, 1e5),
    budget=st.floats(1e-3, 1e5),
    is_in_minutes=st.booleans(),
)
def test_budget_of_time_ends_and_estimates_steps(step, seconds, budget, is_in_minutes):
    options = Train(minutes=budget / 60) if is_in_minutes else Train(seconds=budget)
    options.resolve_budget(True)
    assert options.budget == ("minutes" if is_in_minutes else "seconds")
    assert options.time == pytest.approx(budget)
    budget = options.time
    assert options.is_over(step, seconds) == (seconds >= budget)
    assert options.estimated_steps(step, seconds) >= step
    if seconds <= budget:
        assert options.estimated_steps(step, seconds) == pytest.approx(step * budget / seconds, abs=0.51)
    assert Train(steps=step).estimated_steps(1, seconds) == step


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (["train.d_steps=1"], 62),
        (["train.d_steps=5"], 12),
        (["train.d_steps=5", "objective=regression", "model.condition=concat", "model.source=dropout"], 62),
        (["train.steps=7"], 62),
    ],
)
def test_images_become_steps_before_anything_depends_on_them(words, steps):
    found = config("train.images=1000", *words)
    assert (found.train.steps, found.optimizer.horizon, found.train.budget) == (steps, steps, "images")
    assert resolve(found.plain()).plain() == found.plain()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.images=1000", "train.seconds=3"], "train.images: and train.seconds are two budgets"),
        (["train.images=1000", "train.minutes=3"], "set train.images=null or train.minutes=null"),
        (["train.seconds=180", "train.minutes=3"], "train.seconds: and train.minutes are two budgets"),
        (["train.minutes=0"], "above 0"),
        (["train.images=1000", "train.d_gain=0.1"], "train.d_gain"),
        (["train.images=79", "train.d_steps=5"], "give at least 80"),
        (["train.seconds=0"], "above 0"),
        (["train.images=0"], "at least 1"),
    ],
)
def test_a_budget_that_says_nothing_or_two_things_is_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        config(*words)


def test_budget_of_seconds_keeps_rates_without_a_horizon():
    open_ended = config("train.seconds=9")
    assert open_ended.optimizer.horizon == open_ended.train.steps == ENDLESS
    assert ["stay at their start: the learning rates;" in text for text in cautions(open_ended)] == [True]
    (caution,) = cautions(config("train.d_gain=0.001", "train.d_steps=5"))
    assert "no lower bound" in caution
    assert cautions(config("train.seconds=9", "optimizer.schedule=constant")) == []
    (late,) = cautions(config("train.seconds=9", "optimizer.horizon=40"))
    assert "0 from step 40 on" in late


def test_a_run_by_images_is_bit_for_bit_the_run_of_as_many_steps(tmp_path):
    both = {
        key: run(config(*words, "train.d_steps=2"), tmp_path / key)
        for key, words in {"images": ["train.images=400"], "steps": ["train.steps=12"]}.items()
    }
    assert equal(tensors(tmp_path / "images"), tensors(tmp_path / "steps"))
    assert {key: result["stopped_by"] for key, result in both.items()} == {k: k for k in both}
    assert [result["images"] for result in both.values()] == [12 * 2 * 16] * 2


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """A run by seconds, which then went on to four times as many, and what it looked like between."""
    from gantrain.cli.main import main

    folder = tmp_path_factory.mktemp("timed") / "run"
    words = [
        "train.seconds=0.15",
        "metric=toy",
        "metric.n=50",
        "train.log_every=3",
        "train.keep_checkpoints=9",
    ]
    first = run(config(*words, "train.evaluate_every=0", "train.checkpoint_every=0"), folder)
    kept = RunFolder(folder).checkpoints[-1].name
    assert main(["resume", str(folder), "train.minutes=0.01"]) == 0
    return folder, first, kept


def test_seconds_end_a_run_as_a_last_step_does(timed):
    folder, first, kept = timed
    assert (first["status"], first["stopped_by"]) == ("finished", "seconds")
    assert int(kept) == first["step"] > 1
    assert "divergence/js" in first["metrics"]
    assert 0.15 <= first["training_seconds"] < first["seconds"]
    read = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    at_end = {tag for row in read if row["step"] == first["step"] for tag in row}
    assert {"divergence/js", "loss/g"} <= at_end


def test_seconds_include_what_a_device_has_still_to_compute(tmp_path, monkeypatch):
    waits: list[int] = []
    monkeypatch.setattr(Runtime, "wait", lambda runtime: waits.append(1) or time.sleep(0.2))
    words = ("train.steps=4", "train.log_every=2", "metric=none", "train.sample_every=0")
    result = run(config(*words), tmp_path / "run")
    assert len(waits) == 2  # at log points alone
    assert 0.4 <= result["training_seconds"] < result["seconds"]


def test_a_resumed_run_counts_the_seconds_that_were_spent(timed):
    folder, first, _ = timed
    result = json.loads((folder / "result.json").read_text())
    assert result["stopped_by"] == "minutes"
    assert result["step"] > first["step"]
    # The second process trains for what was left of 0.6 s: the sum is the new budget and a last step.
    assert 0.6 <= result["training_seconds"] < 1.5
    assert load_checkpoint(folder).seconds == pytest.approx(result["training_seconds"], abs=0.01)


def test_budget_of_seconds_trains_as_that_many_steps(timed, tmp_path):
    folder, first, kept = timed
    same = ["metric=toy", "metric.n=50", "train.log_every=3", "train.evaluate_every=0"]
    run(config(f"train.steps={first['step']}", f"optimizer.horizon={ENDLESS}", *same), tmp_path / "again")
    assert equal(load_checkpoint(folder / "checkpoints" / kept).tensors, tensors(tmp_path / "again"))


def test_budget_spent_names_how_to_resume(timed, run_cli, tmp_path):
    folder, _, kept = timed
    at = folder / "checkpoints" / kept
    code, out, _ = run_cli("resume", at, "train.seconds=0.1")
    assert code == 0
    assert (
        f"already finished at step {int(kept)}; go on with: gantrain resume {folder} train.seconds=0.2" in out
    )
    code, out, _ = run_cli("resume", at, f"train.steps={int(kept)}")
    assert code == 0
    assert f"train.steps={2 * int(kept)} optimizer.horizon={2 * int(kept)}" in out
    code, _, error = run_cli("resume", folder, "train.images=999999", "train.seconds=9")
    assert code == 2
    assert "two budgets" in error


def test_rates_that_seconds_cut_short_are_told(tmp_path, capfd):
    run(config("train.seconds=0.02", "optimizer.horizon=1000000"), tmp_path / "run")
    assert (
        "train.seconds ended the run with 100 % of the way of its learning rates still to go"
        in capfd.readouterr().err
    )


def test_signal_after_the_last_step_leaves_metrics_to_resume(tmp_path, run_cli):
    words = [
        "metric=toy",
        "metric.n=50",
        "train.steps=4",
        "train.checkpoint_every=0",
        "train.evaluate_every=0",
    ]

    def stop(step, metrics, share):
        os.kill(os.getpid(), signal.SIGTERM)

    whole = run(config(*words), tmp_path / "whole")
    with pytest.raises(Interrupted, match="after the last step"):
        run(config(*words), tmp_path / "run", session=Session(watch=stop))
    left = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (left["status"], left["exit_code"]) == ("interrupted", 143)
    assert equal(tensors(tmp_path / "run"), tensors(tmp_path / "whole"))
    code, out, _ = run_cli("resume", tmp_path / "run")
    assert code == 0
    assert "already finished" not in out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {key: result[key] for key in ("status", "step", "metrics", "floors")} == {
        key: whole[key] for key in ("status", "step", "metrics", "floors")
    }
    assert "already finished at step 4" in run_cli("resume", tmp_path / "run")[1]
