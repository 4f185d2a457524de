"""Write docs/configuration.md and configs/keys.json from the dataclasses and the YAML files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gantrain.cli.command import all_commands
from gantrain.config.options import Folder, Top, Train, class_of
from gantrain.core.fields import flat_fields
from gantrain.core.groups import GROUPS, choices, yaml_dir
from gantrain.core.known_keys import KEYS_FILE
from gantrain.registry import REGISTERED
from gantrain.sweeps.optuna.search import Search

HEAD = """\
# Configuration reference

Every group, choice and key, with types, defaults and legal ranges. This page is written from the source by
`python docs/configuration.py`, and a test compares the two, so it cannot fall behind.

`group=choice` selects a file of `configs/<group>/`, `group.key=value` sets a key, and both may be given in any order: a
key set on the command line takes precedence over every file. `gantrain --cfg job` prints all keys of a run with their
values, `gantrain --cfg job -p train` those of one group. An unknown key or choice is an error before anything is
written, with the known one that was probably meant. `null` means "not set".

**How a value is written.** Where the type is *word*, the characters typed are the value, on the command line, in a verb
and in a YAML file: `run.dir=2024_01_16` and `dataset.root=1e3` are folders of these names. Quotes are needed, inside
those of the shell, for a text with a comma, since a comma sweeps (`"dataset.root='a,b'"`), for one that is in quotes
itself, and for the text `'null'`; `${key}` refers to another key. A whole number is written in decimal digits, with `_`
between them if you like, a number also with a point and an exponent, a switch is `true` or `false`; `010`, `0x10`,
`12:30` and `yes` are neither. Hydra's `+`, `++`, `range()`, `choice()`, `glob()`, `interval()` (with `sweep=optuna`),
`sort()`, `shuffle()`, casts such as `int()`, quotes and escapes work as its documentation says.

The defaults below are those of the keys. A choice may set other values, for its own group or for others: see the column
*sets* (long values are cut at …). `dataset=ring`, for example, selects `optimizer=adam_no_momentum` and 9,000 steps.
`name` is `<dataset>-<objective>` unless you set it.
"""

PLAIN: dict[str, type] = {"": Top, "run": Folder, "train": Train}
TYPES = {
    "int": "whole number",
    "float": "number",
    "str": "word",
    "bool": "true or false",
    "None": "null",
    "Any": "value or list",
}
LONGEST = 80  # characters of a preset's value that are shown


def kind(annotation: str) -> str:
    """Return a field's type in words: ``list[int] | None`` is "list of whole number, or null"."""
    base, _, rest = annotation.partition(" | ")
    outer, _, inner = base.rstrip("]").partition("[")
    if outer == "list":
        words = f"list of {kind(inner)}"
    elif outer == "dict":
        words = f"mapping of {kind(inner.rpartition(', ')[2])}"
    else:
        words = TYPES[outer]
    return f"{words}, or {kind(rest)}" if rest else words


def type_name(annotation: Any) -> str:
    """Return an annotation as it is written."""
    return annotation.__name__ if type(annotation) is type else str(annotation).replace("typing.", "")


def format_value(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(format_value, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}: {format_value(item)}" for key, item in value.items()) + "}"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def limits(rule: Mapping[str, Any]) -> str:
    """Return the legal range or the choices of a key."""
    if rule["choices"]:
        return ", ".join(f"`{choice}`" for choice in rule["choices"])
    words = {"minimum": "≥", "above": ">", "maximum": "≤", "below": "<"}
    return " and ".join(
        f"{sign} {format_value(rule[bound])}" for bound, sign in words.items() if rule[bound] is not None
    )


def default(field: dataclasses.Field[Any]) -> str:
    """Return a key's default as it is typed on the command line."""
    factory = field.default_factory
    value = field.default if factory is dataclasses.MISSING else factory()
    return '""' if value == "" else format_value(value)


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (head, ["---"] * len(head), *lines)]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def keys(cls: type, prefix: str) -> str:
    """Return the table of a dataclass's keys, without the registered name."""
    dot = f"{prefix}." if prefix else ""
    lines = [
        [f"`{dot}{key}`", kind(type_name(f.type)), f"`{default(f)}`", limits(f.metadata), f.metadata["help"]]
        for key, f in flat_fields(cls)
        if prefix in PLAIN or key != "name"
    ]
    return table(["key", "type", "default", "range", "meaning"], lines) if lines else "No keys."


def flat(value: Any, path: str) -> Iterator[str]:
    """Yield ``key=value`` for each leaf of a YAML file's tree."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from flat(item, f"{path}.{name}" if path else name)
    else:
        text = " ".join(format_value(value).split())
        yield f"{path}={text}" if len(text) <= LONGEST else f"{path}={text[:LONGEST]}…"


def sets(group: str, name: str) -> list[str]:
    """Return what a choice's YAML chooses and sets, as words of the command line."""
    text = (yaml_dir() / group / f"{name}.yaml").read_text(encoding="utf-8")
    tree: dict[str, Any] = yaml.safe_load(text) or {}
    entries = tree.pop("defaults", [])
    based = [f"{group}={entry}" for entry in entries if isinstance(entry, str) and entry in choices(group)]
    pairs = [pair for entry in entries if isinstance(entry, dict) for pair in entry.items()]
    chosen = [f"{key.removeprefix('override ').lstrip('/')}={choice}" for key, choice in pairs]
    values = flat(tree, "" if text.startswith("# @package _global_") else group) if tree else ()
    return [*based, *chosen, *values]


def class_name(group: str, name: str) -> str:
    """Return the registered name of the class that a choice sets the keys of, or "" for a choice of keys alone."""
    text = (yaml_dir() / group / f"{name}.yaml").read_text(encoding="utf-8")
    entries = [entry for entry in (yaml.safe_load(text) or {}).get("defaults", []) if isinstance(entry, str)]
    found = [e.partition("@")[0] for e in entries if e.startswith(f"/schema/{group}/")]
    return found[0].rpartition("/")[2] if found else ""


def presets(group: str) -> str:
    """Return the table of a group's choices: what each is, the command, and what it sets."""
    lines = []
    for name, text in choices(group).items():
        words, _, command = text.rpartition(": gantrain")
        lines.append(
            [
                f"`{name}`",
                f"{words}<br>`gantrain{command}`",
                " ".join(f"`{word}`" for word in sets(group, name)),
            ]
        )
    return table(["choice", "what it is, and the command", "sets"], lines)


def section(group: str) -> Iterator[str]:
    """Yield the parts of a group: its choices, then the keys of each of its classes."""
    yield f"## {group}"
    yield f"{GROUPS[group].about[0].upper()}{GROUPS[group].about[1:]}."
    yield presets(group)
    if GROUPS[group].cls:
        yield f"Keys of every `{group}` choice:"
        yield keys(class_of(GROUPS[group]), group)
        return
    if group == "sweep":
        yield "Keys of `sweep=optuna`:"
        yield keys(Search, "hydra.sweeper")
    for name, cls in sorted(REGISTERED.get(group, {}).items()):
        named = [choice for choice in choices(group) if class_name(group, choice) == name]
        yield f"### {group}={name}"
        if named != [name]:
            yield "Keys of " + ", ".join(f"`{group}={choice}`" for choice in named) + ":"
        yield keys(cls, group)


def arguments() -> Iterator[str]:
    """Yield the parts that list the ``key=value`` arguments of each command."""
    yield "## Arguments of the commands"
    yield "A command takes a run's folder and these arguments: `gantrain sample RUN n=64 seed=1`."
    for name, command in all_commands().items():
        if command.options:
            yield f"### gantrain {name}"
            yield keys(command.options(), "")


def page() -> str:
    """Return the whole page."""
    groups = [group for group in GROUPS if choices(group)]
    listed = [
        [f"`{group}`", ", ".join(f"`{name}`" for name in choices(group)), GROUPS[group].about]
        for group in groups
    ]
    parts = [HEAD.rstrip(), "## The groups", table(["group", "choices", "about"], listed)]
    parts += ["## Keys outside the groups", *(keys(cls, prefix) for prefix, cls in PLAIN.items())]
    parts += [part for group in groups for part in section(group)]
    parts += arguments()
    return "\n\n".join(parts) + "\n"


def key_table() -> dict[str, Any]:
    """Return what completion needs to know without importing a class: keys by class, and the class of each choice."""
    chosen = yaml.safe_load((yaml_dir() / "config.yaml").read_text(encoding="utf-8"))["defaults"]
    defaults = {
        key: name
        for entry in chosen
        if isinstance(entry, dict)
        for key, name in entry.items()
        if key in GROUPS
    }
    classes = {group: {"": cls} for group, cls in PLAIN.items()}
    classes |= {name: {"": class_of(group)} for name, group in GROUPS.items() if group.cls}
    classes |= {group: dict(sorted(REGISTERED[group].items())) for group in GROUPS if GROUPS[group].family}
    return {
        "defaults": {group: name for group, name in defaults.items() if name},
        "classes": {
            group: {choice: class_name(group, choice) for choice in choices(group)}
            for group in GROUPS
            if GROUPS[group].family
        },
        "keys": {
            group: {name: described_keys(cls, group in PLAIN) for name, cls in known.items()}
            for group, known in classes.items()
        },
    }


def described_keys(cls: type, with_name: bool) -> dict[str, Any]:
    """Return help, default and legal values of each key of a dataclass that may be set on the command line."""
    return {
        key: {
            "help": field.metadata["help"],
            "default": default(field),
            "choices": ["true", "false"]
            if field.type in (bool, "bool")
            else list(field.metadata["choices"] or ()),
        }
        for key, field in flat_fields(cls)
        if with_name or key != "name"
    }


def generated() -> dict[Path, str]:
    """Return the text of each file that this script writes."""
    keys_json = json.dumps(key_table(), indent=1, ensure_ascii=False) + "\n"
    return {Path(__file__).with_suffix(".md"): page(), yaml_dir() / KEYS_FILE: keys_json}


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
