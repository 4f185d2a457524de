"""What sets a run apart from a bare ``gantrain``: the keys whose values are not the defaults."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import yaml

from gantrain.config.options import Config
from gantrain.core.groups import GROUPS, choices, yaml_dir

ALWAYS_LISTED = ("dataset", "model", "objective")  # they are listed also when they are the defaults


def differences(config: Config) -> dict[str, list[str]]:
    """Return the parts of a resolved config that a bare ``gantrain`` would not have, by group.

    A default is that of the class's field, or of the YAML of the choice that a group has when none is given.

    Returns:
        For each group the choice's name, if it has one, and then ``key=value`` words.
    """
    found = {"seed": [str(config.seed)]}
    for group, values in config.plain().items():
        if group == "run" or not isinstance(values, dict):
            continue
        options = getattr(config, group)
        name = values.pop("name", "") if group in GROUPS and GROUPS[group].family else ""
        defaults = {field.name: _default(field) for field in dataclasses.fields(options)}
        if name in ("", default_choices().get(group)):
            defaults |= _default_yaml().get(group, {})
        if group == "optimizer":
            defaults["horizon"] = config.train.steps
        words = [f"{key}={_yaml_text(v)}" for key, v in values.items() if v != defaults[key]]
        if words or group in ALWAYS_LISTED or (name and name != default_choices().get(group)):
            found[group] = [name, *words] if name else words
    return found


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


@cache
def default_choices() -> dict[str, str]:
    """Return the choice that each group has when none is given."""
    plain = yaml.safe_load((yaml_dir() / "config.yaml").read_text(encoding="utf-8"))
    entries = [entry for entry in plain["defaults"] if isinstance(entry, dict)]
    return {
        group: choice for entry in entries for group, choice in entry.items() if group in GROUPS and choice
    }


@cache
def _default_yaml() -> dict[str, dict[str, Any]]:
    """Return what the YAML of the default choices sets, by group."""
    found: dict[str, dict[str, Any]] = {}
    for group, choice in default_choices().items():
        if choice in choices(group):
            text = (yaml_dir() / group / f"{choice}.yaml").read_text(encoding="utf-8")
            plain = yaml.safe_load(text) or {}
            by_group = plain if text.startswith("# @package _global_") else {group: plain}
            for owner, values in by_group.items():
                if isinstance(values, dict):
                    found.setdefault(owner, {}).update(values)
    return found


def _yaml_text(value: Any) -> str:
    text = str(yaml.safe_dump(value, default_flow_style=True, width=10**6))
    return text.strip().removesuffix("...").strip()
