"""Tiny runs by their choices, one a factor, built from what is registered: a row of a covering set, as a config."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from composed import STEMS, composed, placed

from gantrain.config import resolve as resolving
from gantrain.config.options import Config
from gantrain.config.resolve import resolve
from gantrain.datasets.base import Data, Split
from gantrain.errors import ConfigError
from gantrain.metrics import suite
from gantrain.registry import REGISTERED, build, parse
from gantrain.training.run import prepare

Row = dict[str, Any]
TRAIN = 80  # training samples
FIXED = {
    "train.steps": 2,
    "train.checkpoint_every": 0,
    "train.evaluate_every": 0,
    "metric.refit_steps": 2,
    "device.kind": "cpu",
    "device.threads": 1,
    "model.width": 4,
    "dataset.n": TRAIN,
    "dataset.n_holdout": 200,
    "dataset.resolution": 8,
}


def choices_of(group: str, first: str) -> list[str]:
    """Return the names of a group's YAML files, ``first`` first."""
    return [first, *(stem for stem in STEMS[group] if stem != first)]


def metric_choices() -> list[str]:
    """Return suites as text: the usual one, none, and each registered metric alone."""
    return ["js,prdc", "", *sorted(REGISTERED["metric"])]


# Every choice that decides what is computed; the first of each goes with most others.
FACTORS: dict[str, list[Any]] = {
    "dataset": ["ring", "gaussian", "digits", "captions", "lines", "dirac", "stacked_mnist"],
    "objective": choices_of("objective", "non_saturating"),
    "metric": metric_choices(),
    "penalty": choices_of("penalty", "none"),
    "model": ["", *STEMS["model"]],  # "" is the one that the dataset chooses
    "optimizer": choices_of("optimizer", "adam"),
    "noise": choices_of("noise", "none"),
    "augment": choices_of("augment", "none"),
    "features": choices_of("features", "auto"),
    "model.condition": ["none", "concat", "projection", "conditional_batch_norm", "auxiliary_classifier"],
    "model.packing": [1, 2, 3, 8],
    "held_out": [200, 2, 3, 37],
    "metric.n": [37, 2, 5, 1000],
    "train.batch_size": [24, 2, 7, 8, 64],
    "train.update": ["alternating", "simultaneous"],
    "train.unroll": [0, 2],
    "train.d_steps": [1, 2],
    "train.g_steps": [1, 2],
    "train.d_gain": [None, 0.0],
    "train.ema": [0.9, 0.0],
    "train.compare_gradients": [False, True],
    "model.minibatch_std": [False, True],
    "model.spectral_norm": [False, True],
    "model.source": ["z", "dropout", "both"],
    "device.precision": ["float32", "bfloat16"],
    "train.sample_every": [0, 2],
    "train.log_every": [1, 0],
}


def plain_of(row: Row, files: Path) -> dict[str, Any]:
    """Return the plain config of a row; a choice of one group sets no key of another."""
    plain = placed([f"dataset={row['dataset']}"], files)
    for group in ("objective", "penalty", "model", "optimizer", "noise", "augment", "features"):
        if row[group]:
            plain[group] = composed(f"{group}={row[group]}")[group]
    plain["metric"]["names"] = [name for name in row["metric"].split(",") if name]
    for key, value in {**FIXED, **{key: value for key, value in row.items() if "." in key}}.items():
        group, name = key.split(".")
        if name in plain[group] or group not in ("dataset", "model") or name in SHARED:
            plain[group][name] = value
    return plain


SHARED = {key.split(".")[1] for key in FACTORS if key.startswith("model.")}  # by all models


@functools.cache
def _data_of(dataset: str, files: Path) -> Data:
    first = {name: choices[0] for name, choices in FACTORS.items()}
    return resolve(plain_of(first | {"dataset": dataset}, files)).dataset.load(0)


def config_of(row: Row, files: Path) -> Config:
    """Return the checked config of a row, whose dataset loads 80 samples and as many held-out ones as the row says."""
    config = resolve(plain_of(row, files))
    data = _data_of(row["dataset"], files)
    train, holdout = _cut(data.train, TRAIN), _cut(data.holdout, row["held_out"])
    config.dataset.load = lambda seed: dataclasses.replace(data, train=train, holdout=holdout)
    return config


def _cut(part: Split, n: int) -> Split:
    if part.rows is not None:
        return Split(part.x, None if part.y is None else part.y[:n], part.rows[:n])
    return Split(part.x[:n], None if part.y is None else part.y[:n])


@contextmanager
def parts_built_once() -> Iterator[None]:
    """Inside the block each part of a config is built from plain data once, and copied for every further config."""
    kept: dict[tuple[Any, ...], Any] = {}

    def once(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any) -> Any:
            key = make.__name__, *(arg if isinstance(arg, type | str) else json.dumps(arg) for arg in args)
            if key not in kept:
                kept[key] = make(*args)
            return copy.deepcopy(kept[key])

        return made

    with pytest.MonkeyPatch.context() as patch:
        for module in (resolving, suite):
            patch.setattr(module, "build", once(build))
        patch.setattr(resolving, "parse", once(parse))
        yield


class Refusals:
    """Why rows are refused, each found once."""

    def __init__(self, files: Path):
        self.files, self._reasons = files, dict[str, str]()

    def reason(self, row: Row) -> str:
        """Return the error of a row, ``key: what; remedy``, or "" for one that can be run."""
        key = json.dumps(row)
        if key not in self._reasons:
            try:
                prepare(config_of(row, self.files))
                self._reasons[key] = ""
            except ConfigError as error:
                self._reasons[key] = str(error)
        return self._reasons[key]

    def is_possible(self, row: Row) -> bool:
        return not self.reason(row)


def advised(row: Row, error: str) -> Row | None:
    """Return a row after the first advice of its error, ``key=value`` or ``give at least n``; None without advice."""
    where, _, rest = error.partition(": ")
    remedy = rest.rpartition("; ")[2]
    if word := re.search(r"([a-z_.]+)=([a-z0-9_.]+)", remedy):
        key, text = word.groups()
        value = yaml.safe_load(text) if "." in key else text
        return row | ({"metric": FACTORS["metric"][0]} if key == "metric" else {key: value})
    if number := re.search(r"at least (\d+)", remedy):
        return row | {where: int(number[1])}
    return None
