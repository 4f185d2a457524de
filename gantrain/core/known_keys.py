"""The keys of every choice, from ``configs/keys.json``: to know them, no class is imported."""

from functools import cache
from typing import Any

from gantrain.core.groups import yaml_dir

KEYS_FILE = "keys.json"  # written by docs/configuration.py
Keys = dict[str, dict[str, Any]]  # of each key its help, default and choices


@cache
def _read() -> dict[str, Any]:
    import json  # a fifth of the time of a help page, which needs no keys

    return dict(json.loads((yaml_dir() / KEYS_FILE).read_text(encoding="utf-8")))


def keys_of_choice(group: str, choice: str) -> Keys:
    """Return the keys that a choice of a group has; none for a choice that is not shipped.

    ``train`` and ``run`` are groups too, and "" has the keys outside all groups. One class may serve a whole group.
    """
    classes, names = _read()["keys"].get(group, {}), _read()["classes"].get(group, {})
    return dict(classes.get(names.get(choice, ""), {}))


def keys_of_group(group: str) -> Keys:
    """Return the keys that any choice of a group has."""
    return {key: known for keys in _read()["keys"].get(group, {}).values() for key, known in keys.items()}


def default_choice(group: str) -> str:
    """Return the choice of a group in the primary config; "" for a group without one."""
    return str(_read()["defaults"].get(group, ""))
