"""Turn plain data into a checked run: from the command line, a sweep and a checkpoint alike."""

import dataclasses
import functools
import re
import secrets
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gantrain.config.options import KEYED, Config, Folder, Root, Top, Train, class_of
from gantrain.config.paths import with_absolute_paths
from gantrain.config.validate import check_together
from gantrain.core.groups import GROUPS
from gantrain.core.hydra_errors import translate_omegaconf_error, unknown_key
from gantrain.core.spec import Spec
from gantrain.core.tags import with_current_names
from gantrain.errors import ConfigError
from gantrain.features.auto import Auto as AutoFeatures
from gantrain.metrics.suite import full_suite, without_absent_metrics
from gantrain.models.auto import Auto as AutoModel
from gantrain.penalties.base import FAKE, REAL
from gantrain.registry import build, parse, schema

schema("", "root", Root)
for group in KEYED:
    if group.family:
        import_module(f"gantrain.{group.family}")  # registers its classes
    else:
        schema(group.name, class_of(group).__name__.lower(), class_of(group))


@functools.lru_cache(maxsize=1)
def store_suite(cls: type, full: tuple[str, ...]) -> None:
    """Store the schema of a suite, and the names of ``metric=full``, unless these are the ones stored last."""
    schema("metric", "suite", cls)
    schema("metric", "full", {"names": list(full)})


def refresh_suite() -> None:
    """Store the suite of the metrics that are registered now."""
    store_suite(class_of(GROUPS["metric"]), tuple(full_suite()))


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
        raise translate_omegaconf_error(error) from error
    return plain


def resolve(plain: Mapping[str, Any], spec: Spec | None = None) -> Config:
    """Turn plain data into a checked run.

    Args:
        plain: A config from ``plain_data`` or from a checkpoint.
        spec: Of the data, which then need not be available; None takes it from the dataset.

    Raises:
        ConfigError: For a key, type, range or combination that cannot be run.
        DataError: When the dataset is not available.
    """
    # Check the groups; a config written before a group was added gets the group's neutral choice.
    keys = {f.name for f in dataclasses.fields(Root)}
    plain = {group.name: {"name": group.absent} for group in KEYED if group.absent} | with_absolute_paths(
        plain
    )
    for key in plain:
        if key not in keys:
            raise unknown_key(key, {name: plain.get(name) for name in keys})
    for key in sorted(keys - set(plain)):
        raise ConfigError(key, "is missing", f"set {key}=VALUE")
    top = parse(Top, "", {"seed": plain["seed"], "name": plain["name"]})
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,63}", top.name):
        what = f"{top.name!r} cannot be part of a folder's name"
        raise ConfigError("name", what, "use letters, digits and ._+=-")

    # Check the keys of each group, and build what the groups name.
    plain["metric"] = without_absent_metrics(with_current_names(plain["metric"]))
    train, run = parse(Train, "train", plain["train"]), parse(Folder, "run", plain["run"])
    groups = {
        group.name: build(group.name, plain[group.name])
        if group.family
        else parse(class_of(group), group.name, plain[group.name])
        for group in KEYED
    }

    # Resolve the values that depend on other groups, then check the combination.
    train.resolve_budget(groups["objective"].has_game)
    spec = spec or groups["dataset"].spec()
    chosen: dict[str, Any] = {}
    if isinstance(groups["model"], AutoModel):
        is_smooth = {REAL, FAKE}.issubset(groups["penalty"].slopes_of)
        groups["model"] = build("model", groups["model"].pick(spec, groups["device"].kind_here, is_smooth))
        chosen["model"] = groups["model"].name
    if isinstance(groups["features"], AutoFeatures):
        groups["features"] = build("features", groups["features"].pick(spec))
    rates = groups["optimizer"].resolve(train.steps, groups["model"].learning_rate(spec))
    chosen |= {f"optimizer.{key}": rate for key, rate in rates.items()}
    weights = groups["penalty"].resolve(spec, train.batch_size)
    chosen |= {f"penalty.{key}": weight for key, weight in weights.items()}
    seed = secrets.randbelow(2**31) if top.seed is None else top.seed
    config = Config(seed=seed, name=top.name, run=run, spec=spec, train=train, chosen=chosen, **groups)
    check_together(config)
    return config
