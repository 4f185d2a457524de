"""train.init_from: another run's weights and nothing else of it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.training.checkpoint import Checkpoint, load_checkpoint
from gantrain.training.run import run

TINY = ["debug=tiny", "device=cpu", "metric=none", "train.checkpoint_every=0", "optimizer.schedule=constant"]
FROZEN = ["optimizer.g_lr=0", "optimizer.d_lr=0", "train.steps=1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished run of digits."""
    folder = tmp_path_factory.mktemp("run") / "parent"
    run(resolve(composed(*TINY, "model.width=4")), folder)
    return folder


@pytest.fixture
def parent(finished, tmp_path) -> Checkpoint:
    """The run, where the commands of this test find it."""
    shutil.copytree(finished, tmp_path / "parent")
    return load_checkpoint(tmp_path / "parent")


def networks(checkpoint) -> dict[str, torch.Tensor]:
    return {k: v for k, v in checkpoint.tensors.items() if k.split("/")[0] in ("G", "D", "G_ema")}


def test_init_from_copies_weights_and_nothing_else(run_cli, parent):
    code, _, error = run_cli(
        *TINY,
        *FROZEN,
        "run.dir=child",
        "model.width=4",
        "train.init_from=parent",
        "train.ema=0.999",
        "seed=5",
    )
    assert code == 0, error
    child = load_checkpoint("child")
    assert child.step == 1
    mine, theirs = networks(child), networks(parent)
    assert mine.keys() == theirs.keys()
    for name, tensor in theirs.items():
        if not name.startswith("G_ema/"):
            assert torch.equal(mine[name], tensor), name
    steps = [v for k, v in child.tensors.items() if k.startswith("opt_") and k.endswith("/step")]
    assert steps
    assert all(step == 1 for step in steps)


def test_init_from_names_weights_of_another_shape(run_cli, parent, tmp_path):
    code, _, error = run_cli(
        *TINY, *FROZEN, "run.dir=child", "model.width=4", "objective=conditional", "train.init_from=parent"
    )
    assert code == 0, error
    mine, theirs = networks(load_checkpoint("child")), networks(parent)
    differing = {name for name in mine if mine[name].shape != theirs[name].shape}
    assert differing == {"G/stem.weight", "G_ema/stem.weight", "D/body.0.weight"}
    for name in mine.keys() - differing:
        if not name.startswith("G_ema/"):
            assert torch.equal(mine[name], theirs[name]), name
    log = (tmp_path / "child" / "gantrain.log").read_text()
    assert all(name in log for name in differing)


def test_init_from_works_for_networks_of_one_number(run_cli, tmp_path):
    words = [*TINY, "dataset=dirac", "model=dirac"]
    assert run_cli(*words, "run.dir=parent")[0] == 0
    code, _, error = run_cli(*words, *FROZEN, "run.dir=child", "train.init_from=parent")
    assert code == 0, error
    mine, theirs = networks(load_checkpoint("child")), networks(load_checkpoint("parent"))
    assert mine["G/theta"] == theirs["G/theta"] != 0
    assert "initialised at random" not in (tmp_path / "child" / "gantrain.log").read_text()


def test_init_from_run_resumes_without_the_other_run(run_cli, parent, tmp_path):
    words = [*TINY, "train.steps=4", "model.width=4", "train.init_from=parent"]
    assert run_cli(*words, "run.dir=whole")[0] == 0
    assert run_cli(*words[:-1], "train.init_from=parent", "run.dir=half", "train.steps=2")[0] == 0
    (tmp_path / "parent").rename(tmp_path / "moved")
    code, _, error = run_cli("resume", "half", "train.steps=4", "optimizer.horizon=4")
    assert code == 0, error
    whole, half = load_checkpoint("whole"), load_checkpoint("half")
    assert whole.tensors.keys() == half.tensors.keys()
    for name, tensor in whole.tensors.items():
        assert torch.equal(tensor, half.tensors[name]), name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.init_from=nowhere"], "nowhere: there is no such run folder"),
        (["train.init_from=parent", "dataset=ring", "model.width=6"], "holds no weights with the names"),
    ],
)
def test_init_from_is_refused_in_one_line(run_cli, parent, tmp_path, words, said):
    code, _, error = run_cli(*TINY, "run.dir=child", *words)
    assert code == 4
    assert said in error.splitlines()[-1]
    if words[0] == "train.init_from=nowhere":
        assert not (tmp_path / "child").exists()
    else:
        assert json.loads((tmp_path / "child" / "result.json").read_text())["exit_code"] == 4
