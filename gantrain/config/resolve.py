"""Plain data to checked objects: the one door for the command line, a sweep and a checkpoint."""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import gantrain.datasets
import gantrain.metrics
import gantrain.models
import gantrain.objectives
import gantrain.optimizers
import gantrain.penalties  # noqa: F401  (each import registers a family)
from gantrain.config.options import Config, Device, Folder, Root, Top, Train
from gantrain.config.validate import check_together
from gantrain.core.hydra_errors import in_words, unknown_key
from gantrain.core.spec import Spec
from gantrain.errors import ConfigError
from gantrain.metrics.base import Suite
from gantrain.models.auto import Auto
from gantrain.noise import Noise
from gantrain.registry import build, parse, schema

schema("", "root", Root)
schema("device", "device", Device)
schema("metric", "suite", Suite)
schema("noise", "noise", Noise)


def plain_data(composed: DictConfig) -> dict[str, Any]:
    """Return a composed config as plain data, with every interpolation resolved and nothing missing.

    Raises:
        ConfigError: Naming the key that is missing or cannot be resolved.
    """
    plain: dict[str, Any] = {}
    try:
        for key in composed:
            if key == "hydra":  # holds what only a job can resolve
                continue
            value = composed[key]
            if isinstance(value, DictConfig):
                value = OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
            plain[str(key)] = value
    except OmegaConfBaseException as error:
        raise in_words(error) from error
    return plain


def resolve(plain: Mapping[str, Any]) -> Config:
    """Turn plain data into a checked run.

    Args:
        plain: What ``plain_data`` or a checkpoint's ``config.json`` holds.

    Raises:
        ConfigError: For a key, type, range or combination that cannot be run.
        DataError: When the dataset is not there.
    """
    return resolve_for(plain, None)


def resolve_for(plain: Mapping[str, Any], spec: Spec | None) -> Config:
    """Resolve as ``resolve`` does, for data of a known spec that need not be there; None asks the dataset."""
    keys = {f.name for f in dataclasses.fields(Root)}
    for key in plain:
        if key not in keys:
            raise unknown_key(key, {name: plain.get(name) for name in keys})
    for key in sorted(keys - set(plain)):
        raise ConfigError(key, "is missing", f"set {key}=VALUE")
    top = parse(Top, "", {"seed": plain["seed"], "name": plain["name"]})
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,63}", top.name):
        raise ConfigError(
            "name", f"{top.name!r} cannot be part of a folder's name", "use letters, digits and ._+=-"
        )
    train = parse(Train, "train", plain["train"])
    dataset, objective, penalty = (
        build(group, plain[group]) for group in ("dataset", "objective", "penalty")
    )
    train.settle(objective.has_game)
    spec = spec or dataset.spec()
    model = build("model", plain["model"])
    if isinstance(model, Auto):
        model = build("model", model.pick(spec))
    optimizer = build("optimizer", plain["optimizer"])
    optimizer.horizon = optimizer.horizon or train.steps
    config = Config(
        seed=secrets.randbelow(2**31) if top.seed is None else top.seed,
        name=top.name,
        run=parse(Folder, "run", plain["run"]),
        dataset=dataset,
        spec=spec,
        model=model,
        penalty=penalty,
        objective=objective,
        noise=parse(Noise, "noise", plain["noise"]),
        optimizer=optimizer,
        device=parse(Device, "device", plain["device"]),
        metric=parse(Suite, "metric", plain["metric"]),
        train=train,
    )
    check_together(config)
    return config
