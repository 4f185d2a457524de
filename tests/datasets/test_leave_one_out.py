"""dataset.holdout=0: a run trains on all of a tiny set, and metrics leave each sample out of its own comparison."""

import json

import numpy as np
import pytest
import torch
from picture_files import noise, png

from gantrain.datasets.digits import Digits
from gantrain.datasets.image_folder import ImageFolder
from gantrain.features.tools.reserved import split_reserved_samples

TINY = ["debug=tiny", "train.steps=1", "train.batch_size=4", "device=cpu", "run.dir=run"]


def test_nothing_is_held_out_and_every_sample_is_trained_on():
    held, whole = Digits(holdout=0.2).load(3), Digits(holdout=0).load(3)
    assert whole.holdout is whole.train
    assert len(whole.train) == len(held.train) + len(held.holdout)
    assert whole.within.tolist() == list(range(len(whole.train)))
    assert held.within is None
    fitted, reserved = split_reserved_samples(whole)  # a classifier has no others
    assert (len(fitted), len(reserved)) == (len(whole.train), 0)
    assert torch.equal(Digits(holdout=0).load(3).train.x, whole.train.x)
    assert not torch.equal(Digits(holdout=0).load(4).train.x, whole.train.x)


def test_folder_of_six_images_is_trained_on_whole(tmp_path):
    for i in range(6):
        (tmp_path / f"{i}.png").write_bytes(png(noise(9 + i, 9, 3)))
    data = ImageFolder(root=str(tmp_path), resolution=8, holdout=0).load(0)
    assert data.holdout is data.train
    assert len(data.train) == 6


def test_nearest_distance_of_real_data_leaves_each_one_out(run_cli, tmp_path):
    rows = np.random.default_rng(0).normal(size=(15, 2))
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", header="a,b", comments="")
    words = ["dataset=table", "dataset.path=rows.csv", "dataset.holdout=0", "metric.names=[nearest,js]"]
    code, out, err = run_cli(*words, *TINY)
    assert code == 0, err
    assert "dataset.holdout=0 trains on all data: metrics compare G with them" in out + err
    x = (rows - rows.mean(0)) / rows.std(0)
    gaps = np.linalg.norm(x[:, None] - x, axis=2) + np.diag(np.full(15, np.inf))
    protocol = json.loads((tmp_path / "run" / "result.json").read_text())["protocol"]
    lower = np.sort(gaps.min(1))[7]
    assert abs(protocol["nearest"]["holdout_distance"] - lower) < 1e-5 * lower
    assert {one["split"] for one in protocol.values()} == {"training samples, none are held out"}


@pytest.mark.parametrize(
    "words, told",
    [
        (["train.d_gain=0.1"], "train.d_gain: needs held-out data"),
        (["metric=none", "metric.names=[refit]"], "no data are held out, on which to read a D"),
        (["dataset.holdout=-0.1"], "at least 0 and below 1"),
    ],
)
def test_what_needs_held_out_data_is_refused(words, told, run_cli):
    code, _, err = run_cli("dataset.holdout=0", *TINY, *words)
    assert code == 2
    assert err.count("\n") >= 1
    assert told in err
