"""What is left open resolves to numbers, which config.json holds and the first lines of a run name."""

import json
import re

import pytest
from composed import composed

from gantrain.config.resolve import resolve


def test_open_learning_rates_are_those_of_the_model():
    config = resolve(composed("dataset=ring"))
    assert (config.optimizer.g_lr, config.optimizer.d_lr) == (1e-3, 1e-3)
    assert config.chosen == {"model": "mlp", "optimizer.g_lr": 1e-3, "optimizer.d_lr": 1e-3}
    # A config that is resolved leaves nothing open.
    again = resolve(config.plain())
    assert (again, again.chosen) == (config, {})


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["optimizer.g_lr=0.1"], {"optimizer.d_lr": 1e-3}),
        (["optimizer.g_lr=0", "optimizer.d_lr=null"], {"optimizer.d_lr": 1e-3}),
        (["optimizer=sgd"], {}),
    ],
)
def test_a_rate_that_is_set_stays(words, chosen):
    assert resolve(composed("dataset=ring", "model=mlp", *words)).chosen == chosen


def test_first_lines_of_a_run_name_what_it_chose(run_cli, tmp_path):
    words = ["dataset=ring", "dataset.n=500", "dataset.n_holdout=99", "metric=none", "train.sample_every=0"]
    folder = tmp_path / "run"
    code, _, error = run_cli(*words, "train.steps=2", "device=cpu", f"run.dir={folder}")
    assert code == 0
    line = "chosen for points of 2 dimensions on cpu: model=mlp optimizer.g_lr=0.001 optimizer.d_lr=0.001"
    assert re.search(rf"^{re.escape(line)}$", error, re.MULTILINE)
    assert json.loads((folder / "config.json").read_text())["optimizer"]["g_lr"] == 1e-3
