"""One door from a name and plain data to a checked object: nothing is ever imported by a string.

A plug-in is a plain dataclass registered under a group. The dataclass is Hydra's schema for the option and the
runtime object too; its field is the only place of a default.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import pkgutil
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gantrain.errors import ConfigError, suggest

T = TypeVar("T")
REGISTERED: dict[str, dict[str, type]] = {}


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """Declare a config key: a dataclass field with its meaning and its legal range.

    Args:
        default: The value when nobody sets it. A list is copied for each object.
        help: One sentence with the unit.
        minimum: Smallest legal number.
        maximum: Largest legal number.
        above: Numbers must be greater than this.
        below: Numbers must be less than this.
        choices: The only legal strings.
    """
    metadata = dict(help=help, minimum=minimum, maximum=maximum, above=above, below=below, choices=choices)
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def register(group: str) -> Callable[[type[T]], type[T]]:
    """Register a dataclass under ``group`` and its ``name`` field, and store it as Hydra's schema."""

    def add(cls: type[T]) -> type[T]:
        name = {f.name: f.default for f in dataclasses.fields(cls)}["name"]  # type: ignore[arg-type]
        REGISTERED.setdefault(group, {})[str(name)] = cls
        schema(group, str(name), cls)
        return cls

    return add


def schema(group: str, name: str, cls: type) -> None:
    """Store a dataclass in Hydra's ConfigStore as ``schema/<group>/<name>``, for the YAML of an option."""
    ConfigStore.instance().store(group=f"schema/{group}" if group else "schema", name=name, node=cls)


def load_family(package: str) -> None:
    """Import every module of a plug-in package, so that a new file registers itself."""
    for module in pkgutil.iter_modules(sys.modules[package].__path__):
        importlib.import_module(f"{package}.{module.name}")


def build(group: str, plain: Mapping[str, Any]) -> Any:
    """Make the registered object that ``plain["name"]`` names.

    Raises:
        ConfigError: For an unknown name, key, type or range.
    """
    name = plain.get("name")
    known = REGISTERED[group]
    if name not in known:
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
        raise ConfigError(path, f"must be a group of keys, got {plain!r}", "remove it or give key: value lines")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    prefix = f"{path}." if path else ""
    for key, value in plain.items():
        if key not in fields:
            raise ConfigError(f"{prefix}{key}", "there is no such key", suggest(str(key), fields))
        if isinstance(value, str) and "${" in value:
            raise ConfigError(f"{prefix}{key}", "holds an interpolation", "give the value itself")
    try:
        values = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(cls), dict(plain)))
    except OmegaConfBaseException as error:
        key = str(error.full_key or error.key or "")
        raise ConfigError(f"{prefix}{key}", str(error).splitlines()[0], f"it takes {_takes(fields, key)}") from error
    for name, field in fields.items():
        _check(f"{prefix}{name}", getattr(values, name), field)
    return values  # type: ignore[return-value]


def _takes(fields: Mapping[str, dataclasses.Field[Any]], key: str) -> str:
    field = fields.get(key.split("[")[0])
    return "another type" if field is None else f"{field.type}".replace("|", "or")


def _check(key: str, value: Any, field: dataclasses.Field[Any]) -> None:
    rule = field.metadata
    if isinstance(value, list):
        for i, item in enumerate(value):
            _check(f"{key}[{i}]", item, field)
    elif isinstance(value, str) and rule.get("choices") and value not in rule["choices"]:
        raise ConfigError(key, f"{value!r} is not one of its choices", suggest(value, rule["choices"]))
    elif isinstance(value, float | int) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ConfigError(key, f"must be finite, got {value}", "give a finite number")
        for bound, broken, words in (
            ("minimum", lambda v, b: v < b, "at least"),
            ("maximum", lambda v, b: v > b, "at most"),
            ("above", lambda v, b: v <= b, "greater than"),
            ("below", lambda v, b: v >= b, "less than"),
        ):
            limit = rule.get(bound)
            if limit is not None and broken(value, limit):
                raise ConfigError(key, f"must be {words} {limit:g}, got {value}", f"give a number {words} {limit:g}")
