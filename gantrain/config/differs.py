"""The part of a config that is not the default."""

import dataclasses
from functools import cache
from typing import Any

import yaml

from gantrain.config.grammar import read_word
from gantrain.config.options import Config
from gantrain.config.paths import with_absolute_paths
from gantrain.core.groups import GROUPS, choices, yaml_dir
from gantrain.core.override import Override

ALWAYS_LISTED = ("dataset", "model", "objective")  # even where they are the defaults


def differences(config: Config) -> dict[str, list[str]]:
    """Return how a resolved config differs from that of ``gantrain`` without arguments.

    Returns:
        For each group that differs the choice's name, if it has one, and then ``key=value`` words.
    """
    differing = {"seed": [str(config.seed)]}
    for group, values in config.plain().items():
        if group == "run" or not isinstance(values, dict):
            continue
        name = values.pop("name", "") if group in GROUPS and GROUPS[group].family else ""
        default_choice = default_choices().get(group)
        # The class has the defaults of the keys; the YAML of the default choice may set others.
        defaults = dataclasses.asdict(type(getattr(config, group))())
        if name in ("", default_choice):
            defaults |= _default_yaml().get(group, {})
        if group == "optimizer":
            defaults["horizon"] = config.train.steps
        defaults = with_absolute_paths({group: defaults})[group]
        words = [
            f"{key}={_format_value(f'{group}.{key}', v)}" for key, v in values.items() if v != defaults[key]
        ]
        if words or group in ALWAYS_LISTED or (name and name != default_choice):
            differing[group] = [name, *words] if name else words
    return differing


@cache
def default_choices() -> dict[str, str]:
    """Return the default choice of each group that has one."""
    plain = yaml.safe_load((yaml_dir() / "config.yaml").read_text(encoding="utf-8"))
    entries = [item for entry in plain["defaults"] if isinstance(entry, dict) for item in entry.items()]
    return {group: choice for group, choice in entries if group in GROUPS and choice}


@cache
def _default_yaml() -> dict[str, dict[str, Any]]:
    """Return the keys that the YAML files of the default choices set, by group."""
    keys: dict[str, dict[str, Any]] = {}
    for group, choice in default_choices().items():
        if choice in choices(group):
            text = (yaml_dir() / group / f"{choice}.yaml").read_text(encoding="utf-8")
            plain = yaml.safe_load(text) or {}
            is_global = text.startswith("# @package _global_")
            for owner, values in (plain if is_global else {group: plain}).items():
                if isinstance(values, dict):
                    keys.setdefault(owner, {}).update(values)
    return keys


def _format_value(key: str, value: Any) -> str:
    """Return a value as it is typed, in quotes where the grammar needs them."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return f"[{', '.join(_format_value(key, item) for item in value)}]"
    if not isinstance(value, str):
        text = str(yaml.safe_dump(value, default_flow_style=True, width=10**6))
        return text.strip().removesuffix("...").strip()  # safe_dump ends a bare scalar with "..."
    word = Override(key, value)
    read = read_word(str(word))
    is_plain = read.text == str(word) and read.override.value() == value
    return value if is_plain else word.quoted().value
