"""Overrides, devices and run folders that must be refused."""

from pathlib import Path

import pytest
import torch
from malformed import RANGE, check, ids, row

from gantrain.config.overrides import with_absolute_path

OVERRIDES = [
    # Misspelled keys, groups and options.
    row("optimzer.g_lr=1", "optimzer.g_lr", "did you mean 'optimizer.g_lr=1'?"),
    row("objectve=minimax", "objectve", "did you mean 'objective'?"),
    row("optimizer.glr=1", "optimizer.glr", "did you mean 'optimizer.g_lr=1'?"),
    row("train.step=5", "train.step", "did you mean 'train.steps=5'?"),
    row("model.widht=8", "model.widht", "did you mean 'model.width'?"),
    row("dataset=ring dataset.nmodes=3", "dataset.nmodes", "did you mean 'dataset.modes'?"),
    row(
        "dataset.std=0.1",
        "dataset.std",
        "no such key",
        "choose from holdout; it is a key of dataset=gaussian, dataset=grid",
    ),
    row("steps=5", "steps", "did you mean 'train.steps=5'?"),
    row("train/steps=5", "train/steps", "did you mean 'train.steps'?"),
    row("run.folder=x", "run.folder", "did you mean 'run.dir=x' or 'run.root=x'?"),
    row("objective=minmax", "objective", "'minmax'", "did you mean 'minimax'?"),
    row("dataset=rings", "dataset", "did you mean 'ring'?"),
    row("debug=tinny", "debug", "did you mean 'tiny'?"),
    row("experiment=nothing", "experiment", "'nothing' is not one of its choices"),
    row("hydra.runn=1", "hydra.runn", "did you mean 'hydra.run'?"),
    row("hydra/launcher=jobli", "hydra/launcher", "is not one of its choices"),
    # Wrong types.
    row("train.steps=abc", "train.steps", "'abc' is not a whole number"),
    row("train.steps=1.5", "train.steps", "'1.5' is not a whole number"),
    row("train.steps=true", "train.steps", "'true' is not a whole number"),
    row("train.steps=null", "train.steps", "cannot be null"),
    row("train.steps=[1,2]", "train.steps", "'[1, 2]' is not a whole number"),
    row("train.steps=", "train.steps", "'' is not a whole number"),
    row("optimizer.g_lr=abc", "optimizer.g_lr", "'abc' is not a number"),
    row("name=[a]", "name", "'[a]'", "use letters"),
    row("metric.names=js", "metric.names", "must be a list", "metric.names=[a,b]"),
    row("train=5", "train", "is a group of keys", "train.KEY=VALUE"),
    row("model=null", "model", "'null' is not one of its choices"),
    row("optimizer=5", "optimizer", "'5' is not one of its choices"),
    row("hydra=null", "hydra", "'null' is not one of its choices"),
    row("model.name=dcgan", "model.name", "make a choice: model=CHOICE"),
    row("'dataset={name: ring}'", "dataset.name", "make a choice: dataset=CHOICE"),
    row("objective=[minimax,non_saturating]", "objective", "takes one choice", "sweep"),
    # Ranges.
    row("train.steps=0", "train.steps", RANGE, "at least 1"),
    row("train.batch_size=1", "train.batch_size", RANGE, "at least 2"),
    row("train.ema=1", "train.ema", RANGE, "below 1"),
    row("train.ema=nan", "train.ema", "nan is not a finite number", "at least 0 and below 1"),
    row("optimizer.g_lr=-1e-3", "optimizer.g_lr", RANGE, "at least 0"),
    row("optimizer.d_lr=inf", "optimizer.d_lr", "inf is not a finite number"),
    row("optimizer.g_lr=1e30", "optimizer.g_lr", RANGE, "at most 1000"),
    row("seed=99999999999999999999", "seed", RANGE),
    row("dataset.holdout=1", "dataset.holdout", RANGE, "at least 0 and below 1"),
    row("dataset=ring dataset.std=0", "dataset.std", RANGE, "above 0"),
    row("objective=conditional objective.mismatch_weight=1", "objective.mismatch_weight", RANGE),
    row("device.threads=20000", "device.threads", "is neither auto nor a number"),
    # Choices.
    row("train.update=sometimes", "train.update", "choose from alternating, simultaneous"),
    row("device.precision=float61", "device.precision", "did you mean 'float16'?"),
    row("device=cpu device.precision=float16", "device.precision", "needs a GPU"),
    row("metric.names=[js,prdd]", "metric.names", "did you mean 'prdc'?"),
    row("objective=conditional objective.base=hing", "objective.base", "did you mean 'hinge'?"),
    # Values that refer to others.
    row("'name=${nope}'", "name", "refers to nope, which does not exist"),
    row("'train.steps=${train.stepz}'", "train.steps", "refers to train.stepz"),
    row(
        "'train.log_every=${train.sample_every}' 'train.sample_every=${train.log_every}'",
        "train.log_every",
        "itself",
    ),
    row("'optimizer.g_lr=${oc.env:GANTRAIN_NO_SUCH_VARIABLE}'", "optimizer.g_lr", "cannot be resolved"),
    row("'name=${nope:1}'", "name", "calls nope, which does not exist"),
    row("'train.steps=${seed'", "train.steps", "close it with }"),
    row("train.steps=???", "train.steps", "has no value", "train.steps=VALUE"),
    row("optimizer=???", "optimizer", "has no value", "optimizer=CHOICE"),
    # Overrides that add, remove, sweep or cannot be read.
    row("+foo=1", "foo", "there is no such key"),
    row("++train.foo=1", "train.foo", "there is no such key"),
    row("+objective._target_=os.system", "objective._target_", "there is no such key"),
    row("objective._target_=os.system", "objective._target_", "there is no such key"),
    row("'+model={_target_: os.system, command: id}'", "model._target_", "there is no such key"),
    row("~seed", "seed", "cannot be removed"),
    row("~dataset", "dataset", "cannot be removed"),
    row("~nope", "nope", "cannot be removed"),
    row("dataset=ring,digits", "dataset", "has several values", "add -m"),
    row("'seed=range(3)'", "seed", "has several values", "add -m"),
    row("-m 'seed=range(0)'", "seed", "sweeps over nothing"),
    row("-m 'seed=range(0,inf)'", "seed", "sweeps over nothing"),
    row("-m 'seed=range(0,1,0)'", "seed", "sweeps over nothing"),
    row("-m 'dataset=glob(nothing*)'", "dataset", "sweeps over nothing"),
    row("'optimizer.g_lr=interval(1e-4,1e-2)'", "optimizer.g_lr", "has several values", "add sweep=optuna"),
    row("-m 'optimizer.g_lr=interval(1e-4,1e-2)'", "optimizer.g_lr", "is an interval", "add sweep=optuna"),
    row(
        "dataset=image_folder dataset.root=a,b", "dataset.root", "add -m", r"""'dataset.root='"'"'a,b'"'"''"""
    ),
    row("-m seed=1,2 hydra.sweep.subdir=x", "hydra.sweep.subdir", "set run.dir"),
    row("-m seed=1,2 hydra.mode=RUN", "hydra.mode", "leave one of them out"),
    row(
        "-m dataset=ring,digits dataset.std=0.05 run.dir=sweep",
        "nothing was started: job #1 (dataset=digits): dataset.std",
        "there is no such key",
    ),
    row("+train.steps=5", "train.steps", "is there already", "write train.steps=VALUE"),
    row("+experiment=dirac", "experiment", "write experiment=CHOICE"),
    row("++dataset=ring", "dataset", "write dataset=CHOICE"),
    row("'metric.published={js: 1}'", "metric.published.js", "write '+metric.published={js: VALUE}'"),
    row("=5", "=5", "has no key"),
    row("train..steps=5", "train..steps=5", "is not an override", "key=value"),
    row("train.steps=[1", "train.steps", "'[1' is not a whole number"),
    row("'metric.names[0]=js'", "metric.names[0]=js", "is not an override"),
    # Code to run.
    row("hydra.launcher._target_=os.system", "hydra.launcher._target_", "hydra/launcher=CHOICE", "basic"),
    row("-m seed=1,2 ++hydra.sweeper._target_=os.system", "hydra.sweeper._target_", "hydra/sweeper=CHOICE"),
    row("-m seed=1,2 '+hydra.sweeper={x: {_target_: os.system}}'", "hydra.sweeper", "names code to run"),
    row("-m seed=1,2 'hydra={launcher: {_target_: os.system}}'", "hydra", "names code to run"),
    # Combinations.
    row("train.batch_size=1439", "train.batch_size", "1439", "1438 training samples"),
    row("dataset=ring dataset.n=100", "train.batch_size", "256", "100 training samples"),
    row("objective=conditional model.condition=none", "model.condition", "objective.mismatch_weight=0"),
    row("objective=conditional objective.base=conditional", "objective.base", "cannot be played here"),
    row("dataset=ring model=dcgan", "model", "points", "model=auto"),
    row("metric=modes", "metric", "nothing fits", "modes:", "metric=fast"),
    row("metric.names=[modes,gan_test]", "metric", "modes:", "gan_test:", "not conditional"),
    # The device.
    row("device=gpu", "device", "'gpu' is not one of its choices"),
    row("device=cpu device.index=3", "device.index", "no cpu device 3"),
    # Names and folders.
    row("name=../../x", "name", "use letters"),
    row("'name=two words'", "name", "use letters"),
    row("name=Zürich", "name", "'Zürich'"),
    row("run.root=", "run.root", "is not a path"),
    row("run.dir=a\udcff", "run.dir", "is not text in UTF-8"),
]


@pytest.mark.parametrize("row", OVERRIDES, ids=ids(OVERRIDES))
def test_override_malformed_is_one_line_and_writes_nothing(row, run_cli, tmp_path):
    check(row, run_cli, tmp_path)


@pytest.mark.parametrize(
    "kind", sorted({"cuda", "mps"} - {d for d in ("cuda", "mps") if getattr(torch, d).is_available()})
)
@pytest.mark.parametrize("word", ["device={}", "device.kind={}"])
def test_device_unavailable_is_never_replaced_silently(kind, word, run_cli, tmp_path):
    check(row(word.format(kind), "device", f"{kind} is not on this machine", "cpu"), run_cli, tmp_path)


def occupied(folder: Path) -> None:
    (folder / "taken").mkdir()
    (folder / "taken" / "thesis.txt").write_text("mine")


def a_file(folder: Path) -> None:
    (folder / "file").write_text("mine")


FOLDERS = [
    row("run.dir=taken", "run.dir", "taken is not empty", "choose another", setup=occupied),
    row("-m run.dir=taken seed=1,2", "run.dir", "taken is not empty", setup=occupied),
    row("run.dir=file", "run.dir", "file is a file", setup=a_file),
    row("run.dir=file/x", "DIR/file/x", "Not a directory", "run.root", code=5, setup=a_file),
    row("run.root=file", "DIR/file/", "run.root", code=5, setup=a_file),
    row("run.root=/proc/gantrain", "/proc/gantrain/", "run.root", code=5),
    row(f"run.dir={'x' * 300}", "DIR/", "x" * 100, "File name too long", code=5),
    # The last check of a sweep: what stands before it is legal.
    row(
        "-m dataset=ring,grid dataset.std=0.05 penalty=r1,r1r2 penalty.gamma=1 'name=job${hydra:job.num}' "
        "'optimizer.g_lr=${optimizer.d_lr}' 'optimizer.d_lr=1e-3,${dataset.std}' 'run.dir=${hydra:runtime.cwd}/taken'",
        "run.dir",
        "taken is not empty",
        setup=occupied,
    ),
]


@pytest.mark.parametrize("row", FOLDERS, ids=[row.command[:40] for row in FOLDERS])
def test_run_folder_refused_is_left_unchanged(row, run_cli, tmp_path):
    check(row, run_cli, tmp_path)


def test_words_of_a_sweep_hold_absolute_paths(tmp_path, monkeypatch):
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path)
    cases = {
        "dataset.root=photos": f"dataset.root='{tmp_path}/photos'",
        "dataset.root=photos,'b'": f"dataset.root='{tmp_path}/photos','{tmp_path}/b'",
        "dataset.root=choice(photos,b)": f"dataset.root='{tmp_path}/photos','{tmp_path}/b'",
        "+train.init_from=run": f"+train.init_from='{tmp_path}/run'",
        "dataset.root='it is'": f"dataset.root='{tmp_path}/it is'",
        **{word: word for word in ("seed=1,2", "-m", "dataset.root=null", "dataset.root=${oc.env:HOME}/x")},
    }
    assert {word: with_absolute_path(word) for word in cases} == cases
    monkeypatch.chdir("away")
    assert all(with_absolute_path(word) == word for word in cases.values())
