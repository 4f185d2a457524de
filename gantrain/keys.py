"""The keys of every option, read from the source: to know them, nothing of it is imported."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gantrain.core.groups import choices, yaml_dir

HOUSE = Path(__file__).resolve().parent
FAMILIES = {
    "dataset": "datasets",
    "model": "models",
    "objective": "objectives",
    "penalty": "penalties",
    "augment": "augment",
    "optimizer": "optimizers",
}
# Groups whose options share one class; "" holds the keys that stand in no group.
SINGLE = {
    "": ("config/options.py", "Top"),
    "run": ("config/options.py", "Folder"),
    "train": ("config/options.py", "Train"),
    "device": ("config/options.py", "Device"),
    "noise": ("noise.py", "Noise"),
    "metric": ("metrics/base.py", "Suite"),
}
UNKNOWN = object()  # a default that is computed


@dataclass(frozen=True)
class Key:
    """One key as its dataclass declares it.

    Attributes:
        default: The value when nobody sets it; ``UNKNOWN`` for one that is computed.
        help: One sentence.
        choices: The legal words, where they are few; those of a switch are true and false.
    """

    default: Any
    help: str
    choices: tuple[str, ...]


Keys = dict[str, Key]


def classes(group: str) -> dict[str, Keys]:
    """Return the keys of each registered class of a group by its name; of a group with one class under ``""``."""
    if group in SINGLE:
        file, name = SINGLE[group]
        return {"": _read(HOUSE / file)[name]}
    if group not in FAMILIES:
        return {}
    return {str(keys["name"].default): keys for keys in _family(FAMILIES[group]).values() if "name" in keys}


def of_option(group: str, option: str) -> Keys:
    """Return the keys that an option has, without its name; none for one that is not there."""
    known = classes(group)
    keys = known.get("" if group in SINGLE else _registered(group, option), {})
    return {key: value for key, value in keys.items() if key != "name" or not group}


def of_group(group: str) -> Keys:
    """Return the keys that any option of a group has, without their name."""
    merged: Keys = {}
    for keys in classes(group).values():
        merged |= keys
    return {key: value for key, value in merged.items() if key != "name" or not group}


def of_verb(verb: str) -> Keys:
    """Return the words that a verb takes as ``key=value``, where it declares them so."""
    path = HOUSE / "cli" / "commands" / f"{verb}.py"
    merged: Keys = {}
    for keys in _read(path).values() if path.is_file() else ():
        merged |= keys
    return merged


def names_in(file: str, name: str) -> tuple[str, ...]:
    """Return a module's constant of words; nothing where it is not one."""
    found = _constant(ast.Name(name), _constants(HOUSE / file))
    return tuple(found) if isinstance(found, tuple | dict) else ()


def default_options() -> dict[str, str | None]:
    """Return the option that each group has when nobody chooses."""
    text = (yaml_dir() / "config.yaml").read_text(encoding="utf-8")
    found = re.findall(r"^  - (\w+): (\w+)$", text, re.MULTILINE)
    return {group: None if name == "null" else name for group, name in found}


def _registered(group: str, option: str) -> str:
    """Return the registered name behind an option's YAML, which its defaults list refers to."""
    path = yaml_dir() / group / f"{option}.yaml"
    text = path.read_text(encoding="utf-8") if option in choices(group) else ""
    found = re.search(rf"/schema/{group}/(\w+)@", text)
    return found[1] if found else option


@cache
def _family(package: str) -> dict[str, Keys]:
    paths = sorted((HOUSE / package).rglob("*.py"))
    constants: dict[str, ast.expr] = {}
    trees = [_parsed(path) for path in paths]
    for path in paths:
        constants |= _constants(path)
    return _declared([node for tree in trees for node in tree.body], constants)


@cache
def _read(path: Path) -> dict[str, Keys]:
    return _declared(_parsed(path).body, _constants(path))


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _constants(path: Path) -> dict[str, ast.expr]:
    found = {}
    for node in _parsed(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def _declared(body: list[ast.stmt], constants: dict[str, ast.expr]) -> dict[str, Keys]:
    """Return the keys of each class that declares or inherits any; a base's keys come first, as in a dataclass."""
    nodes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    done: dict[str, Keys] = {}

    def keys(name: str) -> Keys:
        if name not in done:
            done[name] = {}
            for base in reversed(nodes[name].bases):
                if isinstance(base, ast.Name) and base.id in nodes:
                    done[name] |= keys(base.id)
            done[name] |= _own(nodes[name], constants)
        return done[name]

    return {name: keys(name) for name in nodes if keys(name)}


def _own(node: ast.ClassDef, constants: dict[str, ast.expr]) -> Keys:
    found = {}
    for line in node.body:
        if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
            continue
        call = line.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "option":
            default, said = (_constant(argument, constants) for argument in call.args)
            given = next((word.value for word in call.keywords if word.arg == "choices"), ast.Tuple([]))
            choices = _constant(given, constants)
            if ast.unparse(line.annotation) == "bool":
                choices = ("true", "false")
            found[line.target.id] = Key(default, said, choices if isinstance(choices, tuple) else ())
    return found


def _constant(node: ast.expr, constants: dict[str, ast.expr]) -> Any:
    """Return what an expression of literals and of names of such is; of a dict of anything its keys count."""
    if isinstance(node, ast.Name):
        return _constant(constants[node.id], constants) if node.id in constants else UNKNOWN
    if isinstance(node, ast.Tuple):
        items: list[Any] = []
        for item in node.elts:
            if isinstance(item, ast.Starred):
                inner = _constant(item.value, constants)
                items += inner if isinstance(inner, tuple | dict) else ()
            else:
                items.append(_constant(item, constants))
        return tuple(items)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "tuple":
        return tuple(_constant(node.args[0], constants))
    try:
        return ast.literal_eval(node)
    except ValueError:
        if isinstance(node, ast.Dict):
            return {key.value: UNKNOWN for key in node.keys if isinstance(key, ast.Constant)}
        return UNKNOWN
