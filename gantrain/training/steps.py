"""Which kind of play a run has, eager or compiled: decided before its first step, without a clock."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import Any, Protocol

from torch import nn

from gantrain.config.device import AUTO
from gantrain.config.options import Config
from gantrain.core.files import cache_home
from gantrain.datasets.base import Data
from gantrain.errors import ConfigError
from gantrain.models.norms import has_batch_norm
from gantrain.training.batches import Batches
from gantrain.training.costs import Tags
from gantrain.training.draws import Inputs
from gantrain.training.eager import EagerStep
from gantrain.training.play import Play
from gantrain.training.rates import Rates
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.threads import forward_flop

# Per update of D or G, on two cores of a server: what a compiled one saves of Python's time, and of the time of its
# operations, whose intermediate results stay in the cache.
SAVED_SECONDS, SAVED_SECONDS_PER_FLOP = 1e-3, 5e-13
# An update has as many operations as this many forward passes of G and D: forward, and twice that backward.
FORWARD_PASSES = 4


class Step(Protocol):
    """Plays one step of a run, in place."""

    def __call__(self, of_d: Iterable[Inputs], of_g: Iterable[Inputs], rates: Rates) -> list[Tags]:
        """Play one step; return what each update reports."""

    def prepare(self, batches: Batches) -> None:
        """Do what the first step would do once, without effect on the run."""

    def read_checks(self) -> None:
        """Wait for the device. Raises Diverged when an update was refused."""


def step_of(state: TrainState, play: Play, runtime: Runtime) -> Step:
    """Return what plays the steps of a run: compiled if ``choose_play`` said so."""
    if not runtime.is_compiled:
        return EagerStep(state, play)
    prepare_compiler()
    from gantrain.training.compiled import CompiledStep  # takes seconds

    return CompiledStep(state, play, runtime)


def prepare_compiler() -> None:
    """Set up torch's compiler, which is imported later."""
    # Before the compiler is imported: code that others could have put into a shared temporary folder is never loaded,
    # and a warning of a missing CUDA says nothing on a machine without one.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_home() / "compiled"))
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)


def choose_play(
    config: Config, data: Data, state: TrainState, runtime: Runtime, environment: dict[str, Any] | None = None
) -> None:
    """Decide whether the run is compiled: as ``device.compile`` says, with ``auto`` where its steps pay for it.

    Args:
        config: Of the run.
        data: Of the run.
        state: At its first step; nothing in it changes.
        runtime: Receives the decision.
        environment: Of the run's checkpoint if it goes on from one, whose kind of play ``auto`` keeps.

    Raises:
        ConfigError: For ``device.compile=true`` in a run that cannot be compiled, and for ``device.batch_norm=batch``
            with a D that has batch norm.
    """
    parts = Play.create(config, runtime).parts
    if parts.has_whole_statistics and parts.count > 1 and has_batch_norm(state.D):
        what = "is batch, and D of the model has batch norm too, whose passes see a part at a time"
        raise ConfigError("device.batch_norm", what, "set device.batch_norm=shard")
    reason, wish = why_not_compiled(config, state), config.device.compile
    if wish == "true" and reason:
        raise ConfigError("device.compile", reason, "set device.compile=auto")
    before = (environment or {}).get("compiled")
    if wish != AUTO:
        runtime.is_compiled = wish == "true"
    elif environment is not None:
        runtime.is_compiled = before is True  # runs from before there was a choice were eager
    else:
        runtime.is_compiled = not reason and pays(config, data, state, Play.create(config, runtime))


def why_not_compiled(config: Config, state: TrainState) -> str:
    """Return what of a run cannot be compiled; empty if all can."""
    if (config.device.shards or config.device.processes) > 1:
        return "device.shards cuts a batch into parts whose gradients processes exchange within a step"
    if not config.objective.has_game:
        return f"{config.objective.name} is a loss of G alone, which is played eagerly"
    if config.train.d_gain is not None:
        return "train.d_gain reads a loss between the updates of a step"
    if config.train.compare_gradients:
        return "train.compare_gradients differentiates a step three times"
    if config.device.precision == "float16":
        return "device.precision=float16 reads the scale of the loss between updates"
    for network in (state.G, state.D):
        for module in network.modules():
            # They draw random numbers, or count batches, inside the network.
            if isinstance(module, nn.modules.dropout._DropoutNd | nn.modules.batchnorm._BatchNorm):
                return f"{type(module).__name__} of the model has a state or random numbers of its own"
    return ""


def pays(config: Config, data: Data, state: TrainState, play: Play) -> bool:
    """Return whether a compiled step saves more time over a run than compiling it takes: by shapes and steps alone."""
    if config.train.time is not None:
        return config.train.time >= 4 * play.compile_seconds
    saved = SAVED_SECONDS
    if next(state.G.parameters()).device.type == "cpu":
        saved += SAVED_SECONDS_PER_FLOP * FORWARD_PASSES * forward_flop(config, data, state)
    return config.train.steps * play.updates * saved >= 2 * play.compile_seconds
