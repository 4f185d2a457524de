"""What the tests of a GPU share: each body runs on CUDA (``-m gpu``), and on the CPU (``-m slow``) to be tried."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from composed import composed
from small_game import Game

from gantrain.config.resolve import resolve
from gantrain.errors import ConfigError
from gantrain.training.batches import Batches
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

# Before CUDA starts: a test of device.deterministic may follow others in this process.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
SMALL = ("metric=none", "train.batch_size=8", "name=test")
RING = ("dataset=ring", "dataset.n=64", "dataset.n_holdout=16")
MODELS = ("mlp", "gaussian")  # the second for an objective that needs a density


@pytest.fixture(
    params=[pytest.param("cuda", marks=pytest.mark.gpu), pytest.param("cpu", marks=pytest.mark.slow)]
)
def kind(request) -> str:
    """The kind of device; a test on CUDA is skipped where there is none."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param


@pytest.fixture
def unwaited(kind) -> Callable[[], Any]:
    """Return a context in which it is an error if the host waits for the device."""

    @contextmanager
    def refuse_to_wait() -> Iterator[None]:
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return refuse_to_wait if kind == "cuda" else nullcontext


@pytest.fixture
def play_on() -> Callable[..., Game | None]:
    """Return ``play(kind, *words, **groups)``: a small run on a device, or None if its choices do not fit."""

    def game_of(kind: str, *words: str, **groups: dict[str, Any]) -> Game | None:
        chosen = {word.partition("=")[0] for word in words}
        for model in MODELS:
            data = () if "dataset" in chosen else RING
            network = () if "model" in chosen else (f"model={model}",)
            plain = composed(*SMALL, *data, *network, *words) | groups
            plain["device"] |= {"kind": kind}
            try:
                config = resolve(plain)
            except ConfigError:
                continue
            runtime, loaded = Runtime(config.device), config.dataset.load(config.seed)
            state = TrainState.create(config, loaded.spec, runtime)
            batches = Batches(loaded.train, config.train.batch_size, config.seed, runtime.device)
            return Game(config, loaded, state, batches, runtime)
        return None

    return game_of
