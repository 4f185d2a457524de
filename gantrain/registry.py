"""From a name and plain data to a checked object: nothing is ever imported by a string.

A plug-in is a plain dataclass registered under a group. The dataclass is Hydra's schema for the option and the
runtime object too; its field is the only place of a default.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import logging
import math
import operator
import pkgutil
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from omegaconf import BooleanNode, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gantrain.core.fields import option as option
from gantrain.core.hydra_errors import translate_omegaconf_error, unknown_key
from gantrain.core.scalars import SET_OR_OMIT
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

log = logging.getLogger("gantrain")
T = TypeVar("T", bound="DataclassInstance")
V = TypeVar("V")
REGISTERED: dict[str, dict[str, type[Any]]] = {}  # classes by group and name
SCHEMAS: dict[
    str, dict[str, Any]
] = {}  # what YAML of a group starts from by name: a dataclass, or plain data
STORES: list[
    Callable[[str, str], None]
] = []  # each is called with group and name when a schema comes or goes
# Each kind of limit: when a number breaks it, and how a message words it.
LIMITS = {
    "minimum": (operator.lt, "at least"),
    "above": (operator.le, "above"),
    "maximum": (operator.gt, "at most"),
    "below": (operator.ge, "below"),
}


def key_property(getter: Callable[[Any], V]) -> V:
    """Declare a property in place of a class attribute of its base, for a plug-in whose keys decide its value."""
    return cast(V, property(getter))


def register(group: str) -> Callable[[type[T]], type[T]]:
    """Register a dataclass under ``group`` and its ``name`` field, and keep it as a schema for Hydra.

    Raises:
        ConfigError: For a class that lacks what its bases declare, or that would take the place of another one:
            gantrain's own, or one of another file.
    """

    def add(cls: type[T]) -> type[T]:
        where = f"{cls.__module__}.{cls.__qualname__}"
        if "__dataclass_fields__" not in vars(cls):
            raise ConfigError(where, "is not a dataclass", f'write @dataclass below @register("{group}")')
        if missing := _missing_attributes(cls):
            base = next(b for b in cls.__mro__[1:] if b is object or b.__module__ != cls.__module__)
            remedy = f"define it in the class; {base.__module__}.{base.__qualname__} documents it"
            raise ConfigError(where, f"lacks {', '.join(missing)}", remedy)
        name = str(next(f.default for f in dataclasses.fields(cls) if f.name == "name"))
        before = REGISTERED.setdefault(group, {}).get(name)
        is_shipped = before is not None and before.__module__.startswith("gantrain.")
        # A file that is imported anew, or under another name, and a cell of a notebook take their own place.
        if before not in (None, cls) and (is_shipped or _file(before) != _file(cls)):
            owner = "gantrain's own" if is_shipped else f"that of {before.__module__}"
            raise ConfigError(
                f"{group}.name", f"{name} is {owner}, and {where} has the same name", "give it another name"
            )
        REGISTERED[group][name] = cls
        schema(group, name, cls)
        return cls

    return add


def _file(cls: type) -> str:
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__


def _missing_attributes(cls: type[DataclassInstance]) -> list[str]:
    """Return the attributes and abstract methods that a plug-in inherits or declares without a value."""
    keys = {field.name for field in dataclasses.fields(cls)}
    declared = {name for base in cls.__mro__ for name in inspect.get_annotations(base) if name[0] != "_"}
    unset = {name for name in declared | {"name"} if name not in keys and not hasattr(cls, name)}
    return sorted(unset | set(getattr(cls, "__abstractmethods__", ())))


def schema(group: str, name: str, node: Any) -> None:
    """Keep a dataclass, or plain data, as ``schema/<group>/<name>``, for YAML to start from.

    Hydra's own store gets it from ``gantrain.config.hydra_store``; what composes no config does not import Hydra.
    """
    if isinstance(node, type) and not node.__module__.startswith("gantrain."):
        # Hydra hands its store to the processes of a sweep, which cannot import a plug-in by its module's name.
        node = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(node)))
    SCHEMAS.setdefault(group, {})[name] = node
    _tell_stores(group, name)


def _tell_stores(group: str, name: str) -> None:
    for update in STORES:
        update(group, name)


def unregister(group: str, name: str) -> None:
    """Remove a class and its schema."""
    del REGISTERED[group][name]
    del SCHEMAS[group][name]
    _tell_stores(group, name)


def has_schema(group: str, name: str) -> bool:
    """Return whether a class is stored as ``schema/<group>/<name>``."""
    return name in SCHEMAS.get(group, {})


def load_family(package: str) -> None:
    """Import every module of a plug-in package and its sub-packages, so that a new file registers itself."""
    for module in pkgutil.walk_packages(sys.modules[package].__path__, f"{package}."):
        importlib.import_module(module.name)


def build(group: str, plain: Mapping[str, Any]) -> Any:
    """Make the registered object that ``plain["name"]`` names.

    Raises:
        ConfigError: For an unknown name, key, type or range.
    """
    known = REGISTERED[group]
    if not isinstance(plain, Mapping):
        raise ConfigError(group, f"must be a group of keys, got {plain!r}", f"make a choice: {group}=CHOICE")
    name = plain.get("name")
    if not isinstance(name, str) or name not in known:
        raise ConfigError(f"{group}.name", f"no {group} is called {name!r}", suggest(str(name), known, group))
    cls = known[str(name)]
    # A choice that is made of others has keys by what it is made of.
    cls = cls.with_keys(plain) if hasattr(cls, "with_keys") else cls
    return parse(cls, group, plain)


def parse(cls: type[T], path: str, plain: Mapping[str, Any]) -> T:
    """Turn plain data, at the config path ``path``, into a checked dataclass.

    Keys that the class lists as ``obsolete_keys`` are ignored with a warning: an old config may hold them.

    Raises:
        ConfigError: Naming the key, for an unknown key, a wrong type, or a value out of its range.
    """
    if not isinstance(plain, Mapping):
        raise ConfigError(
            path, f"must be a group of keys, got {plain!r}", "remove it or give key: value lines"
        )
    fields = {f.name: f for f in dataclasses.fields(cls)}
    prefix = f"{path}." if path else ""
    if obsolete := [key for key in getattr(cls, "obsolete_keys", ()) if key in plain]:
        log.warning("ignored, no longer used: %s", ", ".join(f"{prefix}{key}" for key in obsolete))
        plain = {key: value for key, value in plain.items() if key not in obsolete}
    # Unknown keys and interpolations first; then OmegaConf checks types, and the fields' ranges are checked last.
    for key, value in plain.items():
        if key not in fields:
            raise unknown_key(f"{prefix}{key}", fields)
        if value == "???":  # OmegaConf's value of a key without one
            raise ConfigError(f"{prefix}{key}", "has no value", f"set {prefix}{key}=VALUE")
        if "${" in str(value):
            raise ConfigError(f"{prefix}{key}", "holds an interpolation", "give the value itself")
        if dataclasses.is_dataclass(group := fields[key].default_factory):
            parse(group, f"{prefix}{key}", value)
        elif isinstance(_defaults(cls)._get_node(key), BooleanNode) and not isinstance(value, bool | None):
            raise ConfigError(f"{prefix}{key}", f"{value!r} is not true or false", SET_OR_OMIT)
        elif isinstance(value, int) and abs(value) > sys.float_info.max:
            raise ConfigError(f"{prefix}{key}", "is a number out of range", "give a smaller one")
    try:
        config = cast(DictConfig, OmegaConf.merge(_defaults(cls), dict(plain)))
        for key, value in plain.items():
            # A merge does not check the items of a list or mapping.
            if isinstance(value, list | dict) and not dataclasses.is_dataclass(fields[key].default_factory):
                config[key] = value
        values = cast(T, OmegaConf.to_object(config))
    except OmegaConfBaseException as error:
        error.full_key = error.full_key or error.key or _wrong_key(cls, plain)
        raise translate_omegaconf_error(error, prefix) from error
    for name, field in fields.items():
        _check(f"{prefix}{name}", getattr(values, name), field)
    return values


def _wrong_key(cls: type, plain: Mapping[str, Any]) -> str | None:
    """Return the key whose value OmegaConf refuses, which some of its errors do not name."""
    for key, value in plain.items():
        try:
            OmegaConf.merge(_defaults(cls), {key: value})
        except OmegaConfBaseException:
            return key
    return None


@functools.cache
def _defaults(cls: type) -> DictConfig:
    """Return a dataclass's defaults as a typed config; a merge copies it."""
    return OmegaConf.structured(cls)


def _check(key: str, value: Any, field: dataclasses.Field[Any]) -> None:
    rule = field.metadata
    if isinstance(value, list):
        for i, item in enumerate(value):
            _check(f"{key}[{i}]", item, field)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check(f"{key}.{name}", item, field)
    elif isinstance(value, str) and rule.get("choices") and value not in rule["choices"]:
        raise ConfigError(key, f"{value!r} is not one of its choices", suggest(value, rule["choices"], key))
    elif isinstance(value, float | int) and not isinstance(value, bool):
        limits = {kind: rule[kind] for kind in LIMITS if rule.get(kind) is not None}
        texts = [
            f"{LIMITS[kind][1]} {limit:{'g' * isinstance(limit, float)}}" for kind, limit in limits.items()
        ]
        remedy = f"give a number that is {' and '.join(texts)}" if texts else "give a number"
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(key, f"{value} is not a finite number", remedy)
        if any(LIMITS[kind][0](value, limit) for kind, limit in limits.items()):
            raise ConfigError(key, f"{value} is out of range", remedy)
