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
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import yaml
from hydra.core.config_store import ConfigStore
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from gantrain.errors import ConfigError, suggest
from gantrain.pages import GROUPS, not_yaml, options

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
        default: The value when nobody sets it. A list or mapping is copied for each object.
        help: One sentence with the unit.
        minimum: Smallest legal number.
        maximum: Largest legal number.
        above: Numbers must be greater than this.
        below: Numbers must be less than this.
        choices: The only legal strings.
    """
    metadata = dict(help=help, minimum=minimum, maximum=maximum, above=above, below=below, choices=choices)
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
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


ONE = "give one, or leave it out for the default"
# What OmegaConf says, then the same in this program's words, then what to do.
COMPLAINTS = (
    (r"Value (.*) of type '\w+' could not be converted to Integer", "{0} is not a whole number", ONE),
    (r"Value (.*) of type '\w+' could not be converted to Float", "{0} is not a number", ONE),
    (r"Value (.*) of type '\w+' could not be converted to Bool", "{0} is not true or false", ONE),
    (r"Cannot convert '\w+' to string: (.*)", "{0} is not a word", ONE),
    (
        r"is not Optional|Incompatible value 'None'",
        "cannot be null",
        "give a value, or leave it out for the default",
    ),
    (r"is not a ListConfig", "must be a list", "write {key}=[a,b]"),
    (
        r"is not a subclass of|Cannot merge DictConfig with",
        "is a group of keys",
        "set one of them: {key}.KEY=VALUE",
    ),
    (r"Interpolation key '(.*)' not found", "refers to {0}, which is not there", "give the value itself"),
    (r"Recursive interpolation", "refers to itself", "give the value itself"),
    (r"raised while resolving interpolation: (.*)", "cannot be resolved ({0})", "give the value itself"),
    (r"Unsupported interpolation type (\S+)", "calls {0}, which is not there", "give the value itself"),
    (r"[Mm]issing mandatory value", "has no value", "set {key}=VALUE"),
)
# What Hydra says of the key in brackets, then the same in this program's words, then what to do.
SAID_BY_HYDRA = (
    (
        r"(?:Ambiguous value for argument|Sweep parameters) '([^=']+)=",
        "has several values",
        "add -m to sweep",
    ),
    (r"You must specify '([^']+)'", "has no value", "choose an option: {key}=OPTION"),
    (
        r"(?:Could not override|Defaults List override) '/?([^':]+)",
        "there is no such config group",
        "choose from {groups}",
    ),
)


def translated(error: BaseException) -> ConfigError:
    """Return Hydra's, OmegaConf's or YAML's complaint as one line with the key and a remedy."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    said = " ".join(str(error).split())
    file = f"{found[1]}.yaml" if (found := re.search(r"^In '([^']+)'", said)) else ""
    for link in chain:
        if isinstance(link, yaml.MarkedYAMLError):
            return not_yaml(link)
        if isinstance(link, MissingConfigException):
            return _no_option(link)
        if isinstance(link, ConfigKeyError) and link.full_key in ("experiment", "debug") and file:
            return ConfigError(
                file, "sets keys of its own group only", "make '# @package _global_' its first line"
            )
    for link in chain:
        if isinstance(link, OmegaConfBaseException) and (link.full_key or link.key):
            return in_words(link, file=file)
    if isinstance(error, RecursionError):
        return ConfigError("config", "is nested too deeply", "flatten it")
    for pattern, what, remedy in SAID_BY_HYDRA:
        if found := re.search(pattern, said):
            return ConfigError(found[1], what, remedy.format(key=found[1], groups=", ".join(GROUPS)))
    key = re.search(r"'([\w./@+~-]+)'", said)
    said = re.sub(r"^In .* composing config: | full_key: .*$", "", said)
    return ConfigError(file or (key[1] if key else "config"), said.rstrip(". "), "see gantrain --help")


def _no_option(error: MissingConfigException) -> ConfigError:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    if not group:
        return ConfigError("--config-name", f"there is no config {name!r}", "leave it out")
    if group == "hydra/launcher" and re.fullmatch("joblib|submitit_(local|slurm)", name):
        return ConfigError(group, f"{name} is not installed", "pip install 'gantrain[sweeps]'")
    choices = {option for option in error.options or () if option != "schema"} | set(options(group))
    if group.startswith("schema/"):
        choices |= set(REGISTERED.get(group.removeprefix("schema/"), ()))
    inner = group.rpartition("/")[2]
    if (
        not choices and inner in GROUPS and inner != group
    ):  # a defaults list names groups from where it stands
        return ConfigError(
            group, "there is no such config group", f"write 'override /{inner}: {name}' in the defaults"
        )
    return ConfigError(group, f"has no option {name!r}", suggest(name, choices))


def in_words(error: OmegaConfBaseException, prefix: str = "", file: str = "") -> ConfigError:
    """Return OmegaConf's complaint as this program's.

    Args:
        error: What OmegaConf raised.
        prefix: The config path of what it looked at.
        file: The YAML file that is at fault, if one is.
    """
    place = f" in {file}" if file else ""
    key = prefix + str(error.full_key or error.key or "config")
    said = str(error).splitlines()[0].rstrip(". ")
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        node = error.parent_node
        tree = OmegaConf.to_container(node, resolve=False) if isinstance(node, DictConfig) else {}
        return unknown_key(key, tree, place)  # type: ignore[arg-type]
    for pattern, what, remedy in COMPLAINTS:
        if found := re.search(pattern, said):
            return ConfigError(key + place, what.format(*found.groups()), remedy.format(key=key))
    return ConfigError(key + place, said, "see the keys with: gantrain --cfg job")


def unknown_key(key: str, known: Iterable[str], place: str = "") -> ConfigError:
    """Return the error for a key that is not among ``known``, a mapping of the keys beside it or their names."""
    parent, _, word = key.rpartition(".")
    names = [str(name) for name in known if name != "hydra" and not (parent and name == "name")]
    groups = known.items() if isinstance(known, Mapping) else ()
    deeper = [f"{group}.{word}" for group, keys in groups if isinstance(keys, Mapping) and word in keys]
    if deeper:
        return ConfigError(
            key + place, "there is no such key", f"did you mean {' or '.join(map(repr, deeper))}?"
        )
    return ConfigError(key + place, "there is no such key", suggest(word, names))


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
