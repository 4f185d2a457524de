"""train.balance: every class equally often, by the seed and the pass, whatever shares the data have."""

import json
from types import SimpleNamespace

import pytest
import torch

from gantrain.datasets.base import Split
from gantrain.training.balance import EqualShares
from gantrain.training.batches import Batches

COUNTS = (3, 50, 17)  # samples of each class
Y = torch.repeat_interleave(torch.tensor([4, 0, 9]), torch.tensor(COUNTS))


def batches(size: int, seed: int = 0, y: torch.Tensor = Y) -> Batches:
    split = Split(torch.arange(len(y)).float()[:, None], y)
    return Batches(split, size, seed, torch.device("cpu"), shares=EqualShares(y))


@pytest.mark.parametrize("size", [3, 7, 30, 200])
def test_balanced_batches_have_every_class_equally_often(size):
    source = batches(size)
    labels = torch.cat([source(i)[1] for i in range(-(-3 * 69 // size))])
    for start in range(0, 3 * 69 - 2, 3):  # one of each class in every three in a row
        assert labels[start : start + 3].sort().values.tolist() == [0, 4, 9]
    for i in range(10):
        counts = source(i)[1].unique(return_counts=True)[1]
        assert counts.max() - counts.min() <= 2


def test_balanced_pass_repeats_few_samples_evenly_and_many_not():
    shares = EqualShares(Y)
    assert len(shares) == 3 * (len(Y) // 3)
    times = [shares.order(0, number).bincount(minlength=len(Y)) for number in range(40)]
    for one in times:
        few, many, others = one.split(COUNTS)
        assert few.sum() == many.sum() == others.sum() == shares.share
        assert few.max() - few.min() <= 1
        assert many.max() == 1
        assert others.max() - others.min() <= 1
    # Over many passes each sample of a class comes equally often: 23 of 50, with a standard deviation of 3.2 of 40.
    assert (torch.stack(times).sum(0).split(COUNTS)[1] - 40 * 23 / 50).abs().max() < 4.5 * 3.2


def test_balanced_order_is_of_seed_and_pass_alone():
    forward, jumping = batches(8), batches(8)
    inorder = [forward(i)[0] for i in range(30)]
    for i in (29, 0, 9, 8, 28):
        assert torch.equal(jumping(i)[0], inorder[i])
    assert not torch.equal(batches(8, seed=1)(0)[0], inorder[0])
    assert not torch.equal(EqualShares(Y).order(0, 0), EqualShares(Y).order(0, 1))


def test_equal_classes_and_many_classes_have_a_pass():
    even = EqualShares(torch.arange(100) % 10)
    assert even.order(0, 0).sort().values.tolist() == list(range(100))
    assert len(EqualShares(torch.arange(5))) == 5


def test_processes_share_the_balanced_batches():
    whole, parts = batches(8), [batches(8) for _ in range(2)]
    for rank, part in enumerate(parts):
        part.group = SimpleNamespace(size=2, rank=rank)
    for number in (0, 7, 9):
        assert torch.equal(torch.cat([part(number)[0] for part in parts]), whole(number)[0])


SMALL = ["debug=tiny", "device=cpu", "train.steps=6", "train.batch_size=8", "train.checkpoint_every=3"]


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["objective=conditional"]])
def test_balanced_run_resumes_with_its_bits(more, run_cli, tmp_path):
    words = [*SMALL, *more, "train.balance=true"]
    assert run_cli(*words, "run.dir=whole")[0] == 0
    assert run_cli(*words, "run.dir=half", "train.steps=3", "optimizer.horizon=6")[0] == 0
    assert run_cli("resume", "half", "train.steps=6")[0] == 0
    whole, half = (
        [*(tmp_path / name / "checkpoints").glob("*6/*.safetensors")] for name in ("whole", "half")
    )
    assert [path.read_bytes() for path in whole] == [path.read_bytes() for path in half]
    assert whole


def test_balanced_run_says_so(run_cli, tmp_path):
    assert run_cli(*SMALL, "train.steps=1", "train.balance=true", "run.dir=run")[0] == 0
    log = (tmp_path / "run" / "gantrain.log").read_text()
    assert "train.balance: each pass has 143 samples of each of 10 classes" in log
    protocol = json.loads((tmp_path / "run" / "result.json").read_text())["protocol"]
    assert {one["train"] for one in protocol.values()} == {"equal shares of classes"}


@pytest.mark.parametrize("data", ["gaussian", "captions", "dirac"])
def test_balance_without_classes_is_refused(data, run_cli):
    code, _, err = run_cli(f"dataset={data}", "train.balance=true", "debug=tiny")
    assert code == 2
    assert (
        err
        == "gantrain: error: train.balance: needs classes, and this dataset has none; set train.balance=false\n"
    )
