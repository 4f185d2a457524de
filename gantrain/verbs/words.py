"""What verbs share: the run that their words name, its config, its data spec, its generator."""

from __future__ import annotations

from typing import Any

import torch
import yaml

from gantrain.checkpoint import Checkpoint, load_checkpoint
from gantrain.config import resolve_for
from gantrain.errors import CheckpointError, ConfigError, DataError
from gantrain.models.base import Generator
from gantrain.settings import Config
from gantrain.spec import Spec
from gantrain.state import load_network, players, under
from gantrain.verbs.folders import one_run, told_apart


def run_and_words(verb: str, argv: list[str]) -> tuple[Checkpoint, dict[str, str]]:
    """Return the checkpoint of the run that a verb's words name, and its ``key=value`` words.

    Raises:
        ConfigError: For a flag, no run, or several.
        CheckpointError: When there is no readable checkpoint.
    """
    folders, words = told_apart(verb, argv)
    return load_checkpoint(one_run(verb, folders)), words


def value_of(key: str, text: str) -> Any:
    """Return a word's value as YAML reads it. Raises ConfigError."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{key}={text}", "is not a value", "quote it") from error


def described(checkpoint: Checkpoint) -> tuple[Config, Spec]:
    """Return a checkpoint's config and data spec; the data itself need not be there.

    Raises:
        CheckpointError: For a config that cannot be run, or players that are not those of the config.
    """
    try:
        spec = Spec.from_plain(checkpoint.spec)
        config = resolve_for(checkpoint.config, spec)
        with torch.device("meta"):  # shapes alone: a forged width must not take the machine's memory
            G, D = config.model.build(spec)
        for part, network in (("G", G), ("D", D), ("G_ema", G)):
            network.load_state_dict(under(checkpoint.tensors, part), strict=True, assign=True)
    except (ConfigError, KeyError, TypeError, ValueError, RuntimeError) as error:
        what = f"does not hold a run ({' '.join(str(error).split())})"
        raise CheckpointError(checkpoint.path, what, "restore it, or use another checkpoint") from error
    return config, spec


def generator(checkpoint: Checkpoint) -> tuple[Config, Spec, Generator]:
    """Return a checkpoint's config, data spec and averaged generator; the data itself need not be there."""
    config, spec = described(checkpoint)
    G, _ = players(config, spec)
    load_network(G, checkpoint.tensors, "G_ema")
    return config, spec, G


def same_data(config: Config, spec: Spec) -> None:
    """See that the data are those that the players know. Raises DataError."""
    if not config.spec.alike(spec):
        where = getattr(config.dataset, "path", None) or "dataset"
        what = "is not the data that the run began with: shape, columns, labels, mean or spread are others"
        raise DataError(where, what, "restore it, or train anew")
