"""What differs from the defaults: enough, with the bare config, to make the config again, and no more."""

from __future__ import annotations

import dataclasses

import pytest

from gantrain.config.compose import compose
from gantrain.config.differs import differences
from gantrain.config.grammar import read_value
from gantrain.config.key_types import type_of_key
from gantrain.config.resolve import plain_data, resolve
from gantrain.core.groups import GROUPS
from gantrain.registry import REGISTERED


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["dataset=ring", "optimizer=sgd", "model.width=7", "train.steps=5"],
        ["objective=fgan_kl", "penalty=r1_lazy", "noise=labels", "metric=toy", "seed=4"],
        ["experiment=dirac", "device=cpu"],
        [
            r"metric.title='it\'s 1e3, [a]'",
            "train.init_from='null'",
            "+metric.published={divergence/js: 1e-7}",
        ],
    ],
)
def test_differences_and_the_bare_config_make_the_config_again(words):
    bare, config = (resolve(plain_data(compose(given))) for given in ([], words))
    made, whole = bare.plain(), config.plain()
    for group, own in differences(config).items():
        if group == "seed":
            made["seed"] = int(own[0])
            continue
        if GROUPS.get(group, GROUPS["device"]).family:
            name, *own = own
            made[group] = dataclasses.asdict(REGISTERED[group][name]())
        for word in own:
            key, _, text = word.partition("=")
            value = read_value(f"{group}.{key}", text, type_of_key(f"{group}.{key}"))
            assert made[group][key] != value, f"{group}.{key} does not differ"
            made[group][key] = value
    for part in ("name", "run"):  # which say where, not what, a run is
        made[part] = whole[part]
    made["optimizer"]["horizon"] = whole["optimizer"]["horizon"]
    assert made == whole
