"""The registry: what a plug-in class must define, and how its keys are checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from torch import Tensor

import gantrain.models  # noqa: F401  (registers them)
from gantrain.errors import ConfigError
from gantrain.objectives.base import Baseline, Objective, Separable
from gantrain.registry import REGISTERED, build, key_property, option, parse, register


@pytest.fixture(autouse=True)
def registered():
    before = {group: dict(classes) for group, classes in REGISTERED.items()}
    yield
    for group, classes in REGISTERED.items():
        classes.clear()
        classes.update(before[group])


def separable(**changes: object) -> type:
    """A complete separable game, but for ``changes``; None leaves an attribute out."""
    attributes = {
        "__annotations__": {"name": str},
        "name": option("of_a_test", "registered name"),
        "quantity": "game",
        "offset": 0.0,
        "slope": 1.0,
        "chance": 0.0,
        "meaning": "divergence/game is a test",
        "on_real": lambda self, logits: -logits,
        "on_fake": lambda self, logits: logits,
        "g_loss": lambda self, fake, real=None: -fake.mean(),
    } | changes
    return dataclass(type("Mine", (Separable,), {k: v for k, v in attributes.items() if v is not None}))


def test_register_accepts_a_complete_objective():
    assert register("objective")(separable()) is REGISTERED["objective"]["of_a_test"]


@pytest.mark.parametrize(
    "lacking", ["name", "quantity", "offset", "slope", "chance", "meaning", "on_real", "on_fake", "g_loss"]
)
def test_register_names_what_an_objective_lacks(lacking):
    changes = {lacking: None} | ({"__annotations__": None} if lacking == "name" else {})
    with pytest.raises(ConfigError, match=rf"Mine: lacks {lacking}; define it in the class; .*Separable"):
        register("objective")(separable(**changes))
    assert "of_a_test" not in REGISTERED["objective"]


@pytest.mark.parametrize(
    "base, lacking",
    [
        (Objective, "chance, d_loss, estimate, g_loss, meaning, name"),
        (Baseline, "loss, meaning, name"),
        (Separable, "chance, g_loss, meaning, name, offset, on_fake, on_real, quantity, slope"),
    ],
)
def test_register_names_all_that_an_empty_objective_lacks(base, lacking):
    with pytest.raises(ConfigError, match=f"Mine: lacks {lacking};") as refused:
        register("objective")(dataclass(type("Mine", (base,), {})))
    assert "\n" not in str(refused.value)


def test_register_refuses_a_class_that_is_no_dataclass():
    with pytest.raises(ConfigError, match=r'Mine: is not a dataclass; write @dataclass below @register\("'):
        register("penalty")(type("Mine", (), {"name": "mine"}))


def test_key_property_is_an_attribute_decided_by_keys():
    def sentence(self) -> str:
        return f"weight {self.mismatch_weight:g}"

    keys = {"__annotations__": {"name": str, "mismatch_weight": float}, "mismatch_weight": option(0.5, "w")}
    cls = register("objective")(separable(meaning=key_property(sentence), **keys))
    assert cls().meaning == "weight 0.5"
    assert cls(mismatch_weight=0.25).meaning == "weight 0.25"


@dataclass
class Inner:
    power: float = option(1.0, "exponent", above=0, maximum=2)


@dataclass
class Outer:
    n: int = option(3, "samples", minimum=1)
    energy: Inner = field(default_factory=Inner)


def test_parse_checks_nested_keys():
    assert parse(Outer, "metric", {}) == Outer()
    assert parse(Outer, "metric", {"energy": {"power": 1.5}}) == Outer(energy=Inner(1.5))
    for energy, message in [
        (
            {"power": 3},
            "metric.energy.power: 3.0 is out of range; give a number that is above 0 and at most 2",
        ),
        ({"power": "x"}, "metric.energy.power: 'x' is not a number"),
        ({"powr": 1}, "metric.energy.powr: there is no such key; did you mean 'metric.energy.power'?"),
        ({"power": "${n}"}, "metric.energy: holds an interpolation"),
        (3, "metric.energy: must be a group of keys, got 3"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(message)):
            parse(Outer, "metric", {"energy": energy})


def test_obsolete_keys_of_an_old_config_are_ignored(caplog):
    old = {"name": "dirac", "width": 128, "depth": 3, "d_activation": "leaky_relu", "theta": 0.5}
    model = build("model", old)
    assert model == build("model", {"name": "dirac", "theta": 0.5})
    assert model.theta == 0.5
    (record,) = caplog.records
    assert record.getMessage() == "ignored, no longer used: model.width, model.depth, model.d_activation"
    with pytest.raises(ConfigError, match=re.escape("model.wide:")):
        build("model", {"name": "dirac", "wide": 128})


def test_baseline_has_no_loss_of_a_game():
    baseline = REGISTERED["objective"]["regression"]()
    with pytest.raises(TypeError, match="no D"):
        baseline.g_loss(Tensor([0.0]))
    assert baseline.estimate(None) == {}
