"""Every option composes, resolves, survives the way through JSON and says what it is; the user's word is the last."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import yaml
from composed import FOLDERS, STEMS, composed, placed
from hydra.core.override_parser.overrides_parser import OverridesParser

from gantrain.config.device import Device
from gantrain.config.options import Folder, Train
from gantrain.config.resolve import resolve
from gantrain.core.groups import GROUPS, choices, yaml_dir
from gantrain.errors import ConfigError
from gantrain.metrics.suite import Suite
from gantrain.noise import Noise
from gantrain.registry import REGISTERED, option, parse, register
from gantrain.training.runtime import Runtime

CHOICES = [(group, stem) for group, stems in STEMS.items() for stem in stems]
DEFAULTS = {
    group: stem
    for entry in yaml.safe_load((yaml_dir() / "config.yaml").read_text())["defaults"]
    if isinstance(entry, dict)
    for group, stem in entry.items()
}
PLAIN_CLASSES = [Train, Device, Folder, Suite, Noise]


def command(group: str, stem: str) -> list[str]:
    """Return the overrides of the command that a choice's first line shows, of a sweep those of its first run."""
    words = shlex.split(choices(group)[stem].rpartition(": gantrain")[2])
    overrides = [word for word in words if "=" in word]
    # A verb and its RUN, or two sets of pictures, or the flag of a sweep, are no part of them.
    assert len(words) - len(overrides) in ((1,) if words[:1] == ["-m"] else (0, 2, 3))
    parsed = OverridesParser.create().parse_overrides(overrides)
    assert any(o.is_sweep_override() for o in parsed) == (words[:1] == ["-m"])
    return [
        f"{o.key_or_group}={next(o.sweep_string_iterator())}" if o.is_sweep_override() else word
        for o, word in zip(parsed, overrides, strict=True)
    ]


def test_the_groups_of_the_help_page_are_the_folders():
    assert set(GROUPS) == set(FOLDERS)
    assert all(choices(group).keys() == set(STEMS[group]) for group in GROUPS)
    assert set(DEFAULTS) - {"override hydra/job_logging"} <= set(FOLDERS) | {"/schema/root@_here_"}


@pytest.mark.parametrize(("group", "stem"), CHOICES)
def test_choice_resolves_and_survives_json(group, stem, files):
    words = command(group, stem)
    given = placed(words, files)
    chosen = given if f"{group}={stem}" in words else placed([f"{group}={stem}"], files)
    if group in REGISTERED and group != "metric":
        assert chosen[group]["name"] in REGISTERED[group]
        assert stem not in REGISTERED[group] or chosen[group]["name"] == stem
    assert set(chosen["metric"]["names"]) <= set(REGISTERED["metric"])
    if group == "metric" and stem in REGISTERED[group]:
        assert chosen["metric"]["names"] == [stem]
    config = resolve(given)
    plain = config.plain()
    read = json.loads(json.dumps(plain, allow_nan=False))
    assert read == plain
    again = resolve(read)
    assert again == config
    assert again.plain() == plain
    assert plain["model"]["name"] != "auto"
    assert plain["optimizer"]["horizon"] == (given["optimizer"]["horizon"] or plain["train"]["steps"])
    if group == "dataset":
        assert resolve(read, config.spec) == config  # a sample is drawn where the data is not
    assert "${" not in json.dumps(plain)


def test_the_seed_is_drawn_once_where_nobody_gives_one(files):
    plain = placed(["seed=null"], files)
    configs = [resolve(plain) for _ in range(3)]
    assert len({config.seed for config in configs}) > 1
    assert all(resolve(config.plain()) == config for config in configs)


def test_what_is_registered_has_a_yaml_of_its_name():
    # A sum has no file: its name says what it is made of.
    own = {
        group: {name for name, cls in named.items() if not hasattr(cls, "with_keys")}
        for group, named in REGISTERED.items()
    }
    assert all(names <= set(STEMS[group]) for group, names in own.items())


@pytest.mark.parametrize(("group", "stem"), CHOICES)
def test_choice_yaml_starts_with_description_and_command(group, stem, files):
    lines = (yaml_dir() / group / f"{stem}.yaml").read_text().splitlines()
    first = next(line for line in lines if not line.startswith("# @package"))
    text, separator, _ = first.rpartition(": gantrain")
    assert separator, first
    assert text.startswith("# ")
    assert len(text) > 10
    assert choices(group)[stem] == first[2:]
    words = command(group, stem)
    if group == "sweep" and f"{group}={stem}" not in words:  # which leaves no keys of its own behind
        assert DEFAULTS[group] == stem
    elif not any(word.startswith(f"{group}=") and stem in re.split(r"\W+", word) for word in words):
        # Then it is what these words choose anyway.
        chosen, meant = (placed(w, files)[group] for w in (words, [f"{group}={stem}"]))
        key = "names" if group == "metric" else "name"
        assert chosen[key] == meant[key]


def fields() -> list[tuple[type, dataclasses.Field[Any]]]:
    classes = [cls for group in REGISTERED.values() for cls in group.values()] + PLAIN_CLASSES
    return [(cls, field) for cls in classes for field in dataclasses.fields(cls)]


@pytest.mark.parametrize(
    ("cls", "field"), fields(), ids=lambda value: getattr(value, "__name__", None) or value.name
)
def test_every_key_says_what_it_means(cls, field):
    assert len(field.metadata.get("help", "")) > 5
    assert field.metadata["help"] == field.metadata["help"].strip().rstrip(".")


@pytest.mark.parametrize("cls", sorted({cls for cls, _ in fields()}, key=lambda cls: cls.__name__))
def test_every_default_is_legal(cls):
    assert parse(cls, "", {}) == cls()


def test_what_a_config_holds_is_its_own():
    given = parse(Suite, "", {"n": 5})
    given.names.append("js")
    given.published["divergence/js"] = 0.5
    assert parse(Suite, "", {}) == Suite()
    assert parse(Suite, "", {"n": 5}) == Suite(n=5)


@pytest.mark.parametrize("word", ["train.steps=7", "dataset.radius=1.5", "train.batch_size=9"])
@pytest.mark.parametrize("first", [True, False])
def test_the_command_line_wins_over_what_a_dataset_sets(word, first):
    key, value = word.split("=")
    plain = composed(*([word, "dataset=ring"] if first else ["dataset=ring", word]))
    assert plain[key.split(".")[0]][key.split(".")[1]] == yaml.safe_load(value)
    assert (
        plain["metric"]["n"] == composed("dataset=ring")["metric"]["n"] != Suite().n
    )  # the dataset's word otherwise


def test_dataset_penalty_yields_to_the_command_line():
    assert composed("dataset=fashion_mnist")["penalty"]["name"] == "r1"
    assert composed("dataset=fashion_mnist", "penalty=none")["penalty"]["name"] == "none"
    assert composed("penalty=none", "dataset=fashion_mnist")["penalty"]["name"] == "none"
    assert composed("dataset=fashion_mnist", "penalty.gamma=3")["penalty"]["gamma"] == 3


@pytest.mark.parametrize("model", STEMS["model"])
def test_objective_condition_yields_to_the_command_line(model):
    assert composed("objective=conditional", f"model={model}")["model"]["condition"] == "concat"
    plain = composed("objective=conditional", f"model={model}", "model.condition=none")
    assert plain["model"]["condition"] == "none"
    with pytest.raises(ConfigError, match=r"^model(\.condition)?: "):
        resolve(plain)


@pytest.fixture
def experiment(tmp_path) -> list[str]:
    """Words that use an experiment of a user's own."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n"
        "# Mine: gantrain experiment=mine\n"
        "defaults:\n"
        "  - override /dataset: ring\n"
        "  - override /objective: conditional\n"
        "  - _self_\n"
        "\n"
        "train: {steps: 11}\n"
        "dataset: {radius: 3.0}\n"
        "objective: {mismatch_weight: 0.25}\n"
        "model: {z_dim: 7}\n"
    )
    return [f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine"]


def test_an_experiment_sets_what_any_group_before_it_set(experiment):
    config = resolve(composed(*experiment))
    assert (config.dataset.name, config.objective.name) == ("ring", "conditional")
    assert (config.train.steps, config.dataset.radius, config.objective.mismatch_weight) == (11, 3.0, 0.25)
    assert (config.model.name, config.model.z_dim, config.model.condition) == ("mlp", 7, "concat")
    ring = composed("dataset=ring")
    assert (
        config.train.batch_size == ring["train"]["batch_size"] != Train().batch_size
    )  # the rest is the dataset's


def test_the_command_line_wins_over_an_experiment_and_debug_too(experiment):
    words = [
        "train.steps=5",
        "dataset.radius=1.5",
        "objective=minimax",
        "model.z_dim=9",
        "model.condition=none",
    ]
    with pytest.raises(ConfigError, match=r"objective\.mismatch_weight|mismatch_weight"):
        resolve(composed(*experiment, *words))  # minimax lacks what the experiment sets
    words[2] = "objective.mismatch_weight=0"
    for order in ([*experiment, *words], [*words, *experiment]):
        config = resolve(composed(*order))
        assert (config.train.steps, config.dataset.radius, config.model.z_dim) == (5, 1.5, 9)
        assert (config.objective.mismatch_weight, config.model.condition) == (0, "none")
    assert resolve(composed(*experiment, "debug=tiny")).train.steps == 20
    assert resolve(composed(*experiment, "debug=tiny", "train.steps=3")).train.steps == 3


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_device_absent_is_refused_by_check_only(kind, files):
    config = resolve(placed([f"device={kind}"], files))
    if {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[kind]:
        assert Runtime(config.device).device.type == kind
    else:
        with pytest.raises(ConfigError, match=f"device: {kind} is not on this machine; choose from"):
            Runtime(config.device)


def test_plugin_cannot_take_a_shipped_name():
    own = REGISTERED["penalty"]["r1"]

    def declared() -> type:
        @dataclass
        class Mine:
            name: str = option("of_a_test", "registered name")

        return register("penalty")(Mine)

    try:
        first, second = declared(), declared()  # a notebook's cell, run twice
        assert REGISTERED["penalty"]["of_a_test"] is second is not first
    finally:
        del REGISTERED["penalty"]["of_a_test"]
    with pytest.raises(ConfigError, match="r1 is gantrain's own"):
        register("penalty")(dataclass(type("R1", (own,), {})))
    assert REGISTERED["penalty"]["r1"] is own
