"""The best checkpoint of a run: which one it is, that it is kept, and that a resumed run keeps the same."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from pathlib import Path

import pytest
from composed import composed
from hypothesis import given
from hypothesis import strategies as st
from run_contents import fingerprint, lines

from gantrain.cli.main import main
from gantrain.config.resolve import resolve
from gantrain.core.directions import direction
from gantrain.core.run_address import best_of, path_of
from gantrain.core.run_folder import RunFolder
from gantrain.errors import ConfigError, Diverged, OutputError
from gantrain.metrics.nearest import Nearest
from gantrain.training import housekeeping
from gantrain.training.best import BestSoFar
from gantrain.training.checkpoint import load_checkpoint
from gantrain.training.replicas import stacked_step
from gantrain.training.replicas.replica import Member
from gantrain.training.replicas.train import train_together
from gantrain.training.run import prepare, run
from gantrain.training.session import Session

TAG = "fidelity/nearest_distance"
SMALL = [
    *("device=cpu", "device.threads=1", "seed=5", "dataset=ring", "dataset.n=200", "dataset.n_holdout=60"),
    *("model=mlp", "model.width=4", "train.batch_size=16", "train.sample_every=0", "optimizer.horizon=24"),
    *("metric.names=[nearest]", "metric.n=30", "train.evaluate_every=3", "train.checkpoint_every=8"),
]
KEEP = [*SMALL, "train.steps=24", f"train.keep_best={TAG}"]
# Distances at steps 3, 6, … 24; the best value is 1, at step 15, and again at 21.
VALUES = [9.0, 2.0, 4.0, math.nan, 1.0, 1.5, 1.0, math.inf]


def script(patch: pytest.MonkeyPatch) -> None:
    """Let the metric read ``VALUES``, by step."""

    def read(self, evaluation):
        return {TAG: VALUES[self.step // 3 - 1]}

    def compute_metrics(self, state):
        for metric in self.metrics:
            metric.step = state.step
        return original(self, state)

    original = housekeeping.Housekeeping.compute_metrics
    patch.setattr(Nearest, "__call__", read)
    patch.setattr(Nearest, "errors", lambda self, evaluation: {})
    patch.setattr(housekeeping.Housekeeping, "compute_metrics", compute_metrics)


@pytest.fixture
def scripted(monkeypatch):
    """Let the metric read ``VALUES`` in a test."""
    script(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run of ``VALUES``, which nothing stopped."""
    with pytest.MonkeyPatch.context() as patch:
        script(patch)
        return train(tmp_path_factory.mktemp("runs") / "whole", *KEEP)


def train(folder: Path, *words: str) -> Path:
    run(resolve(composed(*words)), folder, session=Session(bar=False))
    return folder


def steps(folder: Path) -> list[int]:
    return [int(path.name) for path in RunFolder(folder).checkpoints]


def all_fingerprints(folder: Path) -> dict[str, object]:
    found = {path.name: fingerprint(path) for path in RunFolder(folder).checkpoints}
    return found | {"best": {name: load_checkpoint(folder / "checkpoints" / name).best for name in found}}


@given(
    st.lists(st.floats(0, 3) | st.sampled_from([math.nan, math.inf, -math.inf, None, 1.0]), max_size=12),
    st.sampled_from(["divergence/frechet/pixels", "diversity/coverage", "fidelity/density"]),
)
def test_best_is_the_earliest_of_the_best_finite_values(values, tag):
    best, known = BestSoFar(tag), direction(tag)
    for step, value in enumerate(values):
        best.add(step, {} if value is None else {tag: value})
    finite = [(known.cost(v), i) for i, v in enumerate(values) if v is not None and math.isfinite(v)]
    assert best.step == (min(finite)[1] if finite else None)
    assert best.plain() == ({"tag": tag, "step": best.step, "value": values[best.step]} if finite else {})


def test_best_checkpoint_is_kept_beside_the_newest(scripted, whole, tmp_path):
    assert RunFolder(whole).result["best"] == {"tag": TAG, "step": 15, "value": 1.0}
    assert best_of(RunFolder(whole)) == RunFolder(whole).result["best"]
    assert steps(whole) == [15, 16, 24]  # the newest two and the best, which does not count
    # It is the state of that step, and the run without the key has the same others.
    other = train(
        tmp_path / "a", *SMALL, "train.steps=24", "train.checkpoint_every=5", "train.keep_checkpoints=9"
    )
    for step in (15, 24):
        assert fingerprint(path_of(f"{whole}@{step}")) == fingerprint(path_of(f"{other}@{step}"))
    assert "best" not in RunFolder(other).result


def test_best_of_the_last_step_is_found_after_its_save(scripted, tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.VALUES", [*VALUES[:4], 1.5, 1.5, 1.5, 1.0])
    folder = train(tmp_path / "a", *KEEP, "train.keep_checkpoints=1")
    assert best_of(RunFolder(folder))["step"] == 24
    assert steps(folder) == [24]


def test_best_of_no_finite_value_is_none(scripted, tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.VALUES", [math.nan] * 8)
    folder = train(tmp_path / "a", *KEEP)
    assert (RunFolder(folder).result["best"], steps(folder)) == ({}, [16, 24])


class Killed(BaseException):
    """In place of a process that dies."""


@pytest.mark.parametrize("number", [1, 3, 5])  # of the saves at steps 3, 6, 8, 15, 16, 24
def test_best_survives_a_kill_before_a_save(scripted, whole, tmp_path, monkeypatch, number):
    """A run that dies between an evaluation and a save, of the best state or another, ends as if it had not."""
    kept, count = housekeeping.save_checkpoint, itertools.count()

    def die(*arguments):
        if next(count) == number:
            raise Killed
        return kept(*arguments)

    monkeypatch.setattr(housekeeping, "save_checkpoint", die)
    with pytest.raises(Killed):
        train(tmp_path / "part", *KEEP)
    monkeypatch.setattr(housekeeping, "save_checkpoint", kept)
    assert main(["resume", str(tmp_path / "part")]) == 0
    assert all_fingerprints(tmp_path / "part") == all_fingerprints(whole)
    assert lines(tmp_path / "part") == lines(whole)
    assert RunFolder(tmp_path / "part").result["best"] == RunFolder(whole).result["best"]


@pytest.mark.parametrize("word", ["best", "16"])
def test_best_after_a_resume_from_an_older_one_is_the_same(scripted, whole, tmp_path, word):
    again = Path(shutil.copytree(whole, tmp_path / "again"))
    assert main(["resume", f"{again}@{word}"]) == 0
    assert all_fingerprints(again) == all_fingerprints(whole)
    assert RunFolder(again).result["best"] == RunFolder(whole).result["best"]


def test_best_of_another_tag_starts_anew_when_resumed(scripted, tmp_path):
    folder = train(tmp_path / "a", *SMALL, "train.steps=16", "train.keep_best=fidelity/nearest_distance")
    assert best_of(RunFolder(folder))["step"] == 15
    assert main(["resume", str(folder), "train.steps=24", "train.keep_best=null"]) == 0
    assert best_of(RunFolder(folder)) == {}
    assert steps(folder) == [15, 16, 24]  # that of step 16 still names the one of step 15


def test_best_that_the_disk_refuses_leaves_the_others(scripted, tmp_path, monkeypatch):
    kept = housekeeping.save_checkpoint

    def refuse(run, step, *rest):
        if step == 15:
            raise OSError(28, "No space left on device")
        return kept(run, step, *rest)

    monkeypatch.setattr(housekeeping, "save_checkpoint", refuse)
    with pytest.raises(OutputError, match="000015"):
        train(tmp_path / "a", *KEEP)
    assert (steps(tmp_path / "a"), best_of(RunFolder(tmp_path / "a"))["step"]) == ([6, 8], 6)


def test_each_replica_keeps_its_own_best(tmp_path, monkeypatch):
    monkeypatch.setattr(stacked_step, "graph_of", lambda function, *_: function)
    configs = [resolve(composed(*KEEP, f"seed={seed}")) for seed in (5, 6)]
    names = [tmp_path / f"{config.seed}" for config in configs]
    train_together(
        [Member(config, folder, Session(bar=False)) for config, folder in zip(configs, names, strict=True)]
    )
    for folder in names:
        best = RunFolder(folder).result["best"]
        logged = {step: value for (step, tag), value in lines(folder).items() if tag == TAG}
        assert best["step"] == min(logged, key=lambda step: abs(logged[step] - 1))
        assert load_checkpoint(folder / "checkpoints" / f"{best['step']:06d}").best == best
    assert len({RunFolder(folder).result["best"]["value"] for folder in names}) == 2


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["metric=fast", "train.keep_best=divergence/frechet"], "evaluate divergence/frechet; use metric=frechet"),
        (["metric=fast", "train.keep_best=diversity/coverge"], "diversity/coverge; did you mean 'diversity/coverage'?"),
        (["metric=fast", "train.keep_best=divergence/js"], "the run's own D, which judges no generator; choose from"),
        (["metric=fast", "objective=fgan_kl", "train.keep_best=divergence/kl"], "judges no generator; choose from"),
        (["metric=fast", "train.keep_best=logits/holdout"], "judges no generator; choose from diversity/coverage"),
        (["metric=exact", "model=gaussian", "dataset=gaussian", "train.keep_best=divergence/exact_error"],
         "it is not known which values of divergence/exact_error are better; choose from"),
        (["metric=none", "train.keep_best=loss/g"], "judges no generator; choose a suite"),
        (["metric=none", "train.keep_best=x"], "this run does not evaluate x; choose a suite"),
    ],
)  # fmt: skip
def test_keep_best_of_a_tag_that_ranks_nothing_is_refused(words, what):
    config = resolve(composed(*SMALL[:5], "device=cpu", "metric.n=30", "train.batch_size=16", *words))
    with pytest.raises(ConfigError, match=r"^train\.keep_best: ") as raised:
        prepare(config)
    assert what in str(raised.value)


def test_keep_best_takes_a_tag_that_the_data_decide():
    config = resolve(
        composed(
            *SMALL[:7], "metric=fast", "metric.n=30", "train.batch_size=16", "train.keep_best=diversity/modes"
        )
    )
    assert len(prepare(config).train) == 200


def test_diverged_runs_name_their_best_state(scripted, monkeypatch, tmp_path):
    compute_metrics = housekeeping.Housekeeping.compute_metrics

    def diverge(self, state):
        if state.step == 18:
            raise Diverged("train", "the loss is not finite", "lower the learning rates")
        return compute_metrics(self, state)

    monkeypatch.setattr(housekeeping.Housekeeping, "compute_metrics", diverge)
    with pytest.raises(Diverged):
        train(tmp_path / "run", *KEEP)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "diverged"
    assert result["best"] == {"tag": TAG, "step": 15, "value": 1.0}
    assert load_checkpoint(f"{tmp_path / 'run'}@best").step == 15
