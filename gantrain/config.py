"""Plain data to checked objects: the one door for the command line, a sweep and a checkpoint."""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import gantrain.datasets
import gantrain.metrics
import gantrain.models
import gantrain.objectives
import gantrain.optimizers
import gantrain.penalties  # noqa: F401  (each import registers a family)
from gantrain.datasets.base import Dataset, Spec
from gantrain.errors import ConfigError, suggest
from gantrain.metrics.base import Suite
from gantrain.models.auto import Auto
from gantrain.models.base import Model
from gantrain.noise import Noise
from gantrain.objectives.base import Objective
from gantrain.optimizers.base import OptimizerOptions
from gantrain.options import Device, Folder, Train
from gantrain.penalties.base import Penalty
from gantrain.penalties.none import NoPenalty
from gantrain.registry import REGISTERED, build, in_words, option, parse, schema, unknown_key


@dataclass
class Root:
    """The shape of a composed config, as Hydra checks it."""

    seed: int | None = 0
    name: str = MISSING
    run: Folder = dataclasses.field(default_factory=Folder)
    dataset: Any = MISSING
    model: Any = MISSING
    penalty: Any = MISSING
    objective: Any = MISSING
    noise: Noise = dataclasses.field(default_factory=Noise)
    optimizer: Any = MISSING
    device: Device = dataclasses.field(default_factory=Device)
    metric: Suite = dataclasses.field(default_factory=Suite)
    train: Train = dataclasses.field(default_factory=Train)


schema("", "root", Root)
schema("device", "device", Device)
schema("metric", "suite", Suite)
schema("noise", "noise", Noise)


@dataclass
class Config:
    """A run, checked and resolved: nothing is left to decide.

    Attributes:
        seed: Seed of everything random.
        name: Part of the run folder's name.
        run: Where to write.
        dataset: The data source.
        spec: Its shape and classes.
        model: The players' recipe, never ``auto``.
        penalty: The cost on D.
        objective: The game.
        noise: What is added to D's inputs and labels.
        optimizer: Update rule of both players; ``horizon`` is set.
        device: The machine that was asked for.
        metric: The suite that is read.
        train: The loop.
    """

    seed: int
    name: str
    run: Folder
    dataset: Dataset
    spec: Spec
    model: Model
    penalty: Penalty
    objective: Objective
    noise: Noise
    optimizer: OptimizerOptions
    device: Device
    metric: Suite
    train: Train

    def plain(self) -> dict[str, Any]:
        """Return the resolved config as plain data; ``resolve`` makes an equal config of it."""
        groups = (
            "run",
            "dataset",
            "model",
            "penalty",
            "objective",
            "noise",
            "optimizer",
            "device",
            "metric",
            "train",
        )
        return {"seed": self.seed, "name": self.name} | {
            group: dataclasses.asdict(getattr(self, group)) for group in groups
        }


def plain_data(composed: DictConfig) -> dict[str, Any]:
    """Return a composed config as plain data, with every interpolation resolved and nothing missing.

    Raises:
        ConfigError: Naming the key that is missing or cannot be resolved.
    """
    plain: dict[str, Any] = {}
    try:
        for key in composed:
            value = (
                None if key == "hydra" else composed[key]
            )  # Hydra's own node holds what only a job can resolve
            nested = isinstance(value, DictConfig)
            plain[str(key)] = (
                OmegaConf.to_container(value, resolve=True, throw_on_missing=True) if nested else value
            )
    except OmegaConfBaseException as error:
        raise in_words(error) from error
    return {key: value for key, value in plain.items() if key != "hydra"}


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
    top = parse(_Top, "", {"seed": plain["seed"], "name": plain["name"]})
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,63}", top.name):
        raise ConfigError(
            "name", f"{top.name!r} cannot be part of a folder's name", "use letters, digits and ._+=-"
        )
    train = parse(Train, "train", plain["train"])
    dataset, objective, penalty = (
        build(group, plain[group]) for group in ("dataset", "objective", "penalty")
    )
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
    _check_together(config)
    return config


@dataclass
class _Top:
    seed: int | None = option(0, "seed of everything random; null draws one", minimum=0, maximum=2**63 - 1)
    name: str = option("run", "part of the run folder's name")


def cautions(config: Config) -> list[str]:
    """Return a line for each choice that runs but is seldom meant."""
    lines = []
    if config.objective.needs_penalty and isinstance(config.penalty, NoPenalty):
        lines.append(
            "penalty=none leaves this critic's slope free, so its value means nothing; use penalty=wgan_gp"
        )
    rule = config.optimizer
    if rule.schedule != "constant" and config.train.steps > rule.horizon:
        lines.append(
            f"both rates are 0 from step {rule.horizon} on (optimizer.horizon); raise it to go on learning"
        )
    return lines


def _check_together(config: Config) -> None:
    """Refuse combinations that cannot be run, naming both keys."""
    for key, path in dataclasses.asdict(config.run).items():
        if path is not None and not path.strip():  # an empty root would be that of the file system
            raise ConfigError(f"run.{key}", "is not a path", "give a folder, or leave it out for the default")
    reason = config.model.fits(config.spec)
    if reason:
        raise ConfigError("model", reason, "use model=auto, which picks by the data")
    conditional = config.model.condition != "none"
    if conditional and not config.spec.classes:
        raise ConfigError(
            "model.condition",
            "the players cannot see labels, since this dataset has none",
            "set model.condition=none",
        )
    if config.objective.mismatch_weight > 0 and not conditional:
        raise ConfigError(
            "model.condition",
            "is none, but this objective shows D data with wrong conditions",
            "set model.condition=concat or objective.mismatch_weight=0",
        )
    if config.objective.mismatch_weight > 0 and config.spec.classes < 2:
        raise ConfigError(
            "objective.mismatch_weight", "needs two classes to mismatch", "set objective.mismatch_weight=0"
        )
    if config.model.packing > 1 and conditional:
        raise ConfigError(
            "model.packing", "is for models without labels", "set model.packing=1 or model.condition=none"
        )
    if config.train.batch_size % config.model.packing:
        raise ConfigError(
            "model.packing",
            f"must divide train.batch_size, got {config.model.packing} and {config.train.batch_size}",
            "choose a multiple for train.batch_size",
        )
    if config.model.couples_samples and config.penalty.differentiates_input:
        raise ConfigError(
            "penalty",
            f"{config.penalty.name} differentiates D by each sample alone, and this D looks across samples",  # type: ignore[attr-defined]
            "set penalty=none, or model.packing=1 and model.minibatch_std=false",
        )
    if config.noise.on_labels and not config.objective.classifies:
        raise ConfigError(
            "noise.label_smoothing",
            "is for a D trained by cross-entropy, and this objective's is not",
            "use noise=instance or noise=none",
        )
    if config.train.update == "simultaneous" and config.train.g_steps > 1:
        raise ConfigError(
            "train.g_steps", "must be 1 when both players move at once", "set train.update=alternating"
        )
    for name in config.metric.names:
        if name not in REGISTERED["metric"]:
            raise ConfigError(
                "metric.names", f"no metric is called {name!r}", suggest(name, REGISTERED["metric"])
            )
