"""One door from a name and plain data to a checked object: nothing is ever imported by a string.

A plug-in is a plain dataclass registered under a group. The dataclass is Hydra's schema for the option and the
runtime object too; its field is the only place of a default.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import pkgutil
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gantrain.core.fields import option as option
from gantrain.core.hydra_errors import in_words, unknown_key
from gantrain.errors import ConfigError, suggest

T = TypeVar("T")
REGISTERED: dict[str, dict[str, type]] = {}


def register(group: str) -> Callable[[type[T]], type[T]]:
    """Register a dataclass under ``group`` and its ``name`` field, and store it as Hydra's schema.

    Raises:
        ConfigError: For a class that would take the place of another: gantrain's own, or one of another file.
    """

    def add(cls: type[T]) -> type[T]:
        name = {f.name: f.default for f in dataclasses.fields(cls)}["name"]  # type: ignore[arg-type]
        before = REGISTERED.setdefault(group, {}).get(str(name))
        is_shipped = before is not None and before.__module__.startswith("gantrain.")
        # A module that is imported anew, as a cell of a notebook is, takes its own place.
        if before not in (None, cls) and (is_shipped or before.__module__ != cls.__module__):
            owner = "gantrain's own" if is_shipped else f"that of {before.__module__}"
            what = f"{name} is {owner}, and {cls.__module__}.{cls.__qualname__} is called so too"
            raise ConfigError(f"{group}.name", what, "give it another name")
        REGISTERED[group][str(name)] = cls
        schema(group, str(name), cls)
        return cls

    return add


def schema(group: str, name: str, cls: type) -> None:
    """Store a dataclass in Hydra's ConfigStore as ``schema/<group>/<name>``, for the YAML of an option."""
    node: Any = cls
    if not cls.__module__.startswith("gantrain."):
        # Hydra hands its store to the processes of a sweep, which cannot import a plug-in by its module's name.
        node = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(cls)))
    ConfigStore.instance().store(group=f"schema/{group}" if group else "schema", name=name, node=node)


def unregister(group: str, name: str) -> None:
    """Forget a class and its schema."""
    del REGISTERED[group][name]
    del ConfigStore.instance().repo["schema"][group][f"{name}.yaml"]


def has_schema(group: str, name: str) -> bool:
    """Whether a class is stored as ``schema/<group>/<name>``."""
    try:
        return f"{name}.yaml" in ConfigStore.instance().list(f"schema/{group}")
    except OSError:  # there is no such group
        return False


def load_family(package: str) -> None:
    """Import every module of a plug-in package, so that a new file registers itself."""
    for module in pkgutil.walk_packages(sys.modules[package].__path__, f"{package}."):
        importlib.import_module(module.name)


def build(group: str, plain: Mapping[str, Any]) -> Any:
    """Make the registered object that ``plain["name"]`` names.

    Raises:
        ConfigError: For an unknown name, key, type or range.
    """
    known = REGISTERED[group]
    if not isinstance(plain, Mapping):
        raise ConfigError(
            group, f"must be a group of keys, got {plain!r}", f"choose an option: {group}=OPTION"
        )
    name = plain.get("name")
    if not isinstance(name, str) or name not in known:
        raise ConfigError(f"{group}.name", f"no {group} is called {name!r}", suggest(str(name), known))
    return parse(known[str(name)], group, plain)


def parse(cls: type[T], path: str, plain: Mapping[str, Any]) -> T:
    """Turn plain data into a checked dataclass.

    Args:
        cls: The dataclass.
        path: The config path of ``plain``, for messages.
        plain: Numbers, strings, lists and None.

    Raises:
        ConfigError: Naming the key, for an unknown key, a wrong type, or a value out of its range.
    """
    if not isinstance(plain, Mapping):
        raise ConfigError(
            path, f"must be a group of keys, got {plain!r}", "remove it or give key: value lines"
        )
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    prefix = f"{path}." if path else ""
    for key, value in plain.items():
        if key not in fields:
            raise unknown_key(f"{prefix}{key}", fields)
        if _interpolates(value):
            raise ConfigError(f"{prefix}{key}", "holds an interpolation", "give the value itself")
    try:
        values = OmegaConf.to_object(OmegaConf.merge(_defaults(cls), dict(plain)))  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        raise in_words(error, prefix) from error
    for name, field in fields.items():
        _check(f"{prefix}{name}", getattr(values, name), field)
    return values  # type: ignore[return-value]


@functools.cache
def _defaults(cls: type) -> DictConfig:
    """Return what OmegaConf makes of a dataclass; a merge copies it."""
    return OmegaConf.structured(cls)


def _interpolates(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_interpolates, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_interpolates, value))
    return isinstance(value, str) and "${" in value


def _check(key: str, value: Any, field: dataclasses.Field[Any]) -> None:
    rule = field.metadata
    if isinstance(value, list):
        for i, item in enumerate(value):
            _check(f"{key}[{i}]", item, field)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check(f"{key}.{name}", item, field)
    elif isinstance(value, str) and rule.get("choices") and value not in rule["choices"]:
        raise ConfigError(key, f"{value!r} is not one of its choices", suggest(value, rule["choices"]))
    elif isinstance(value, float | int) and not isinstance(value, bool):
        broken = (
            ("minimum", lambda limit: value < limit),
            ("maximum", lambda limit: value > limit),
            ("above", lambda limit: value <= limit),
            ("below", lambda limit: value >= limit),
        )
        if not math.isfinite(value):
            raise ConfigError(key, f"{value} is not a finite number", f"give a number{_range(rule)}")
        if any(rule.get(bound) is not None and outside(rule[bound]) for bound, outside in broken):
            raise ConfigError(key, f"{value} is out of range", f"give a number{_range(rule)}")


def _range(rule: Mapping[str, Any]) -> str:
    words = {"minimum": "at least", "above": "above", "maximum": "at most", "below": "below"}
    limits = {word: rule[bound] for bound, word in words.items() if rule.get(bound) is not None}
    ends = [
        f"{word} {limit:g}" if isinstance(limit, float) else f"{word} {limit}"
        for word, limit in limits.items()
    ]
    return f" that is {' and '.join(ends)}" if ends else ""
