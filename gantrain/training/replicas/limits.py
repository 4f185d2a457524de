"""Which runs can be played at once, and where that is faster than one process a run: by keys and shapes alone."""

from __future__ import annotations

import json

from torch import nn

from gantrain.config.device import Device
from gantrain.config.options import Config
from gantrain.models.norms import running_statistics
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.steps import why_not_compiled

# Numbers in which runs that are played at once may differ: they are inputs of a step, and no part of its graph.
NUMBERS = (
    "seed",
    "optimizer.g_lr",
    "optimizer.d_lr",
    "optimizer.g_lr_end",
    "optimizer.d_lr_end",
    "optimizer.schedule",
    "optimizer.horizon",
    "optimizer.warmup",
    "penalty.gamma",
    "penalty.gamma_end",
    "train.ema",
    "train.ema_half_life",
    "train.ema_half_life_end",
    "train.ramp",
)
MIN_RUNS = 4  # fewer are as fast one by one
MAX_RUNS = 64  # on a CPU, where more are no faster and need more memory
MAX_PRODUCTS = (
    20_000_000  # of weights and samples in a forward pass, above which one run alone keeps a core busy
)


def shape_of(config: Config) -> str:
    """Return all of a config but what runs that are played at once may differ in, as text."""
    plain = config.plain()
    for key in ("name", "run", *NUMBERS):
        group, _, name = key.partition(".")
        if name:
            plain[group].pop(name, None)
        else:
            del plain[group]
    return json.dumps(plain, sort_keys=True)


def why_not_together(config: Config) -> str:
    """Return what of a run cannot be played at once with others; empty if all can."""
    if config.train.time is not None:
        return f"train.{config.train.budget} counts the time of one run"
    if not config.optimizer.acts_elementwise:
        return "the optimizer does not say that it updates each number on its own"
    if config.objective.mismatch_weight > 0 and config.spec.condition:
        return "a batch may have no wrong conditions, which decides the form of a step"
    state = _state(config)
    if running_statistics(state.G):
        return "G moves statistics of its batches in place, which a graph of operations leaves out"
    return why_not_compiled(config, state)


def pays(config: Config, runs: int) -> bool:
    """Return whether that many runs are faster at once than one process each."""
    networks = _state(config)
    modules = [module for network in (networks.G, networks.D) for module in network.modules()]
    if runs < MIN_RUNS or any(isinstance(module, nn.modules.conv._ConvNd) for module in modules):
        return False
    weights = sum(weight.numel() for network in (networks.G, networks.D) for weight in network.parameters())
    return weights * config.train.batch_size <= MAX_PRODUCTS or config.device.kind == "cuda"


def _state(config: Config) -> TrainState:
    return TrainState.create(config, config.spec, Runtime(Device(kind="cpu")))
