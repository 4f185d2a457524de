"""What the processes of one run agree on before its first step. Threads stand for processes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from composed import composed
from thread_group import in_threads

import gantrain
from gantrain.config.resolve import resolve
from gantrain.datasets.base import Data, Split
from gantrain.distributed.group import OneProcess
from gantrain.errors import ConfigError, DataError
from gantrain.training import together
from gantrain.training.together import hash_of, play_along, prepare_together

WORDS = ("dataset=ring", "dataset.n=300", "dataset.n_holdout=60", "device=cpu", "metric=js", "metric.n=60")


@pytest.fixture(scope="module")
def data() -> Data:
    config = resolve(composed(*WORDS))
    return config.dataset.load(config.seed)


def test_the_hash_of_data_changes_with_each_part_of_them(data):
    def changed(split: Split) -> Split:
        x = split.x.clone()
        x[-1, -1] += 1e-6
        return replace(split, x=x)

    others = [
        replace(data, train=changed(data.train)),
        replace(data, holdout=changed(data.holdout)),
        replace(data, train=replace(data.train, y=data.train.y.roll(1))),
        replace(data, train=replace(data.train, rows=torch.arange(299))),
        replace(data, spec=replace(data.spec, classes=9)),
    ]
    hashes = {hash_of(one) for one in (data, *others)}
    assert len(hashes) == 1 + len(others)
    assert hash_of(replace(data, train=replace(data.train, x=data.train.x.clone()))) == hash_of(data)


def test_followers_play_the_run_of_the_leader(monkeypatch, tmp_path):
    played = {}
    config = resolve(composed(*WORDS, "seed=7", "device.processes=4"))

    def play(config, folder, checkpoint, data, group):
        played[group.rank] = config.plain(), folder, checkpoint, hash_of(data)

    monkeypatch.setattr(together, "run", play)

    def part(group):
        group.begin_in = lambda folder: group.share(folder and str(folder))
        if group.is_leader:
            data = prepare_together(config, group)
            play(config, group.begin_in(tmp_path), None, data, group)
        else:
            play_along(group)

    in_threads(4, part)
    assert played == dict.fromkeys(range(4), played[0])
    assert json.loads(json.dumps(played[0][0])) == played[0][0]  # as config.json has it


def test_processes_with_other_data_are_refused_by_rank(monkeypatch, data):
    config = resolve(composed(*WORDS, "device.processes=2"))
    other = replace(data, holdout=data.train)

    def part(group):
        monkeypatch.setattr(together, "prepare", lambda *_: data)
        if group.is_leader:
            return prepare_together(config, group)
        group.share(None)
        group.exchange(hash_of(other))
        return None

    with pytest.raises(DataError) as error:
        in_threads(2, part)
    assert str(error.value).startswith("dataset: rank 1 has other data than rank 0; ")


def test_one_process_compares_nothing(monkeypatch):
    monkeypatch.setattr(together, "hash_of", None)
    assert len(prepare_together(resolve(composed(*WORDS)), OneProcess()).train) == 300


def test_python_refuses_a_run_of_several_processes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="is 2, and Python plays a run in its own process"):
        gantrain.train([*WORDS, "device.processes=2", "train.steps=1"])
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="is not that of one process"):
        gantrain.train(list(WORDS))
    assert not list(tmp_path.iterdir())
