"""The type that a key may have, read from the dataclasses of every choice, since a key may stand before its choice."""

import dataclasses
import functools
import types
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from hydra.conf import HydraConf
from omegaconf import OmegaConf

from gantrain.config.hydra_store import ConfigStore
from gantrain.config.options import Folder, Top, Train, class_of
from gantrain.core.groups import GROUPS, choices
from gantrain.registry import REGISTERED

SCALARS = (str, bool, int, float)


class KeyType(NamedTuple):
    """What a key may hold in one choice of its group or another; ``UNKNOWN`` is of no key of the schema."""

    scalars: frozenset[type]  # of the value itself, or of the items of its lists and mappings
    is_plain: bool  # neither a list nor a mapping in any choice

    @property
    def is_text(self) -> bool:
        """Whether the value, or an item of it, may be any text."""
        return str in self.scalars


UNKNOWN = KeyType(frozenset(), False)


def type_of_key(key: str) -> KeyType:
    """Return the type of a key by its dotted path, such as ``dataset.root``; the plug-ins must be loaded."""
    if key in GROUPS or "/" in key.partition(".")[0]:  # a choice's name; braces hold keys of the group
        return KeyType(frozenset([str]), False)
    first, *path = key.split(".")
    if first == "hydra" and len(path) > 1 and path[0] in ("launcher", "sweeper"):
        repo, group = ConfigStore.instance().repo, path.pop(0)
        stored = [*repo["hydra"].get(group, {}).values(), *repo["schema"].get(group, {}).values()]
        found = [OmegaConf.get_type(choice.node) for choice in stored]
    else:
        found = _types_of_first(first)
    if len(path) > 1 and path[0] in _members(first):  # penalty.r1.gamma of penalty=[r1,lecam]
        del path[0]
    for name in path:
        found = [inner for one in found for inner in _types_below(one, name)]
    return type_of_hints(found)


def _members(group: str) -> Collection[str]:
    """Return the choices of a group that one of its choices may be made of."""
    is_open = any(hasattr(cls, "with_keys") for cls in REGISTERED.get(group, {}).values())
    return choices(group) if is_open else ()


def type_of_hints(hints: list[Any]) -> KeyType:
    """Return what values that are annotated by any of ``hints`` may be."""
    plain = {one for hint in hints for one in _alternatives(hint)}
    items = {item for hint in plain for item in _items(hint)}
    scalars = frozenset(one for one in plain | items if one in SCALARS)
    return KeyType(scalars, bool(plain) and not items)


def _types_of_first(name: str) -> list[Any]:
    """Return the types of a key outside all groups, or the dataclasses of a group."""
    if group := GROUPS.get(name):
        return list(REGISTERED[name].values()) if group.family else [class_of(group)] if group.cls else []
    classes = {"train": Train, "run": Folder, "hydra": HydraConf}
    return [classes[name]] if name in classes else list(_types_below(Top, name))


def _types_below(hint: Any, name: str) -> Iterator[Any]:
    for one in _alternatives(hint):
        if isinstance(one, type) and dataclasses.is_dataclass(one):
            yield from [hint for key, hint in _hints(one).items() if key == name]
        elif get_origin(one) is dict:
            yield get_args(one)[1]


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    """Return the annotations of a dataclass's fields."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _alternatives(hint: Any) -> Iterator[Any]:
    """Yield the members of a union, or the type itself; ``None`` is left out."""
    if get_origin(hint) in (Union, types.UnionType):
        for one in get_args(hint):
            yield from _alternatives(one)
    elif hint is not type(None):
        yield hint


def _items(hint: Any) -> Iterator[Any]:
    """Yield the types of the items of a list or mapping."""
    if get_origin(hint) in (list, dict, tuple):
        for inner in _alternatives(get_args(hint)[-1]):
            yield inner
            yield from _items(inner)
