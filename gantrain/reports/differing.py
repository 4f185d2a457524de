"""What sets a run apart from a bare ``gantrain``: the keys whose values are not the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from gantrain import keys
from gantrain.core.groups import choices, yaml_dir

ALWAYS = ("dataset", "model", "objective")  # what a run is, were it the default


def differing(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the parts of a resolved config that a bare ``gantrain`` would not have, by group.

    A default is that of the class's field, or of the YAML of the option that a group has when nobody chooses.
    """
    found: dict[str, list[str]] = {"seed": [str(config["seed"])]} if "seed" in config else {}
    for group, chosen in config.items():
        if group == "run" or not isinstance(chosen, Mapping):
            continue
        words = [f"{key}={_plain(v)}" for key, v in chosen.items() if _differs(config, group, key, v)]
        name = chosen.get("name", "") if group in keys.FAMILIES else ""
        if words or group in ALWAYS or (name and name != keys.default_options()[group]):
            found[group] = [name, *words] if name else words
    return found


def _differs(config: Mapping[str, Any], group: str, key: str, value: Any) -> bool:
    if key == "name" or (group, key, value) == ("optimizer", "horizon", config["train"]["steps"]):
        return False
    name = config[group].get("name", "") if group in keys.FAMILIES else ""
    declared = keys.classes(group).get(name, {})
    default = declared[key].default if key in declared else keys.UNKNOWN
    if name in ("", keys.default_options().get(group)):
        default = _bare().get(group, {}).get(key, default)
    return bool(value != default)


@cache
def _bare() -> dict[str, dict[str, Any]]:
    """Return what the YAML of the options that nobody chose sets, by group."""
    found: dict[str, dict[str, Any]] = {}
    for group, option in keys.default_options().items():
        if option in choices(group):
            text = (yaml_dir() / group / f"{option}.yaml").read_text(encoding="utf-8")
            plain = yaml.safe_load(text) or {}
            sets = plain if text.startswith("# @package _global_") else {group: plain}
            for owner, values in sets.items():
                if isinstance(values, dict):
                    found.setdefault(owner, {}).update(values)
    return found


def _plain(value: Any) -> str:
    text = str(yaml.safe_dump(value, default_flow_style=True, width=10**6))
    return text.strip().removesuffix("...").strip()
