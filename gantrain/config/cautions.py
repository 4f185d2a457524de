"""Warnings about choices that can be run but are seldom meant."""

import dataclasses
import json
from collections.abc import Iterator

from gantrain.config.moving import moving_cautions
from gantrain.config.options import Config
from gantrain.config.parts import shards_cautions
from gantrain.config.validate import holds_nothing_out
from gantrain.penalties.none import NoPenalty


def cautions(config: Config) -> list[str]:
    """Return a line for each choice that runs but is seldom meant."""
    lines = []
    if not config.objective.has_game and (idle := list(_words_of_d(config))):
        what = f"objective={config.objective.name} trains no discriminator"
        lines.append(f"{what}, so it ignores {', '.join(idle)}")
    if config.objective.needs_penalty and isinstance(config.penalty, NoPenalty):
        what = "penalty=none leaves this critic's slope free, so its value means nothing"
        lines.append(f"{what}; use penalty=wgan_gp")
    if config.train.d_gain is not None:
        lines.append(
            "train.d_gain stops D by the held-out data, so divergence/js is no lower bound on unseen data; "
            "metric=refit computes one"
        )
    if holds_nothing_out(config):
        lines.append(
            "dataset.holdout=0 trains on all data: metrics compare G with them, and each with the others; D, and "
            "a classifier of features, is read on what it has seen; copies show in fidelity/nearest_distance alone"
        )
    if config.train.keep_best and not config.train.evaluate_every:
        what = "train.keep_best compares one evaluation, that of the last step, with train.evaluate_every=0"
        lines.append(f"{what}; set train.evaluate_every=500")
    return [*lines, *moving_cautions(config), *shards_cautions(config)]


def _words_of_d(config: Config) -> Iterator[str]:
    """Yield the words of keys that concern D alone, where they differ from the defaults."""
    if not isinstance(config.penalty, NoPenalty):
        yield f"penalty={config.penalty.name}"
    groups: dict[str, tuple[str, ...]] = {
        "noise": ("instance_std",),
        "train": ("d_steps",),
        "model": ("packing", "minibatch_std", "spectral_norm", "d_width"),
    }
    for group, keys in groups.items():
        options = getattr(config, group)
        defaults = {field.name: field.default for field in dataclasses.fields(options)}
        for key in filter(defaults.__contains__, keys):
            if (value := getattr(options, key)) != defaults[key]:
                yield f"{group}.{key}={json.dumps(value)}"
