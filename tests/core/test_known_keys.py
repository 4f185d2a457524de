"""The keys in ``configs/keys.json`` are those of the classes and of the YAML files."""

import pytest
import yaml

from gantrain.config.options import KEYED, Folder, Top, Train, class_of
from gantrain.core.fields import flat_fields
from gantrain.core.groups import GROUPS, choices, yaml_dir
from gantrain.core.known_keys import default_choice, keys_of_choice, keys_of_group
from gantrain.registry import REGISTERED

SINGLE = {"": Top, "run": Folder, "train": Train} | {g.name: class_of(g) for g in KEYED if g.cls}
FAMILIES = [group.name for group in KEYED if group.family]


def declared(cls: type, with_name: bool = False) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return help and legal words of each key of a dataclass, as Python has them."""
    return {
        name: (
            field.metadata["help"],
            ("true", "false") if field.type in (bool, "bool") else tuple(field.metadata["choices"] or ()),
        )
        for name, field in flat_fields(cls)
        if with_name or name != "name"
    }


def known(keys: dict[str, dict]) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {name: (key["help"], tuple(key["choices"])) for name, key in keys.items()}


@pytest.mark.parametrize("group", SINGLE)
def test_keys_of_a_group_with_one_class(group):
    expected = declared(SINGLE[group], with_name=not group)
    assert known(keys_of_choice(group, "any")) == known(keys_of_group(group)) == expected
    assert list(keys_of_group(group)) == list(expected)  # in the order of the dataclass


@pytest.mark.parametrize("group", FAMILIES)
def test_keys_of_each_choice_are_those_of_its_class(group):
    for choice in choices(group):
        plain = yaml.safe_load((yaml_dir() / group / f"{choice}.yaml").read_text())
        (schema,) = [entry for entry in plain["defaults"] if "/schema/" in str(entry)]
        cls = REGISTERED[group][schema.removeprefix(f"/schema/{group}/").partition("@")[0]]
        assert known(keys_of_choice(group, choice)) == declared(cls)
    assert keys_of_choice(group, "no_such_choice") == {}
    shipped = [cls for cls in REGISTERED[group].values() if cls.__module__.startswith("gantrain.")]
    assert set(keys_of_group(group)) == {key for cls in shipped for key in declared(cls)}


def test_default_choices_are_those_of_the_primary_config():
    entries = yaml.safe_load((yaml_dir() / "config.yaml").read_text())["defaults"]
    chosen = {k: v for entry in entries if isinstance(entry, dict) for k, v in entry.items() if k in GROUPS}
    assert {group: default_choice(group) for group in chosen} == {g: name or "" for g, name in chosen.items()}
    assert default_choice("no_such_group") == ""
