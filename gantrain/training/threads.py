"""How many CPU threads a run uses: no more than its networks keep busy, and never more than there are cores."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from gantrain.config.device import AUTO
from gantrain.config.options import Config
from gantrain.core.random import stream
from gantrain.core.system import usable_cores
from gantrain.core.text import count
from gantrain.datasets.base import Data
from gantrain.training.batches import visible_split
from gantrain.training.state import TrainState

# A core needs about a millisecond for it. With less, threads wait for each other longer than they help.
FLOP_PER_THREAD = 100_000_000
TORCH_THREADS = torch.get_num_threads()  # its own choice: OMP_NUM_THREADS, or the cores without their twins

log = logging.getLogger("gantrain")


def set_threads(
    config: Config,
    data: Data,
    state: TrainState,
    environment: dict[str, Any] | None = None,
    replicas: int = 1,
) -> None:
    """Set the CPU threads of a run to ``device.threads``, at most one for each core that this process may use.

    With ``auto`` a run has a thread for each 100 million operations of a forward pass of G and D on one batch, at least
    one, and at most ``OMP_NUM_THREADS``. Nothing is timed, so that the same command has the same number.

    Args:
        config: Of the run.
        data: Of the run.
        state: Of the run; nothing in it changes.
        environment: Of the run's checkpoint if it goes on from one, whose number ``auto`` keeps.
        replicas: How many such runs are played at once.
    """
    before = (environment or {}).get("threads")
    if config.device.threads != AUTO:
        number = int(config.device.threads)
    elif isinstance(before, int) and before > 0:
        number = before
    elif next(state.G.parameters()).device.type != "cpu":
        number = TORCH_THREADS
    else:
        flop = replicas * forward_flop(config, data, state)
        number = max(1, min(flop // FLOP_PER_THREAD, TORCH_THREADS))
    if number > 1 and number > (cores := usable_cores()):
        if config.device.threads != AUTO:
            what = "device.threads=%d: this process may use %s, so the run has no more threads"
            log.warning(what, number, count(cores, "core"))
        number = cores
    torch.set_num_threads(number)


def forward_flop(config: Config, data: Data, state: TrainState) -> int:
    """Return the floating-point operations of a forward pass of G and of D on one batch: two for each product."""
    # Samples of the pass that is counted: two packs, since batch norm in D refuses one.
    n = config.model.packing * (2 if config.model.d_batch_keys else 1)
    _, y = visible_split(data.train, config).take(torch.arange(n))
    z = state.G.latents(n, stream(config.seed, 0, "d0"))
    fakes: list[Tensor] = []
    products = count_products(state.G, lambda: fakes.append(state.G(z, y)))
    products += count_products(state.D, lambda: state.D(fakes[0], y))
    return 2 * products * config.train.batch_size // n


@torch.no_grad()
def count_products(network: nn.Module, call: Callable[[], object]) -> int:
    """Return how many products of a weight and a value ``call``, which sends samples through a network, computes."""
    total = 0

    def add(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        nonlocal total
        if not (inputs and isinstance(inputs[0], Tensor) and isinstance(output, Tensor)):
            return
        # A weight of a linear layer is used once a sample, that of a convolution once a pixel of the smaller side.
        x, weight = inputs[0], getattr(module, "weight", None)
        if x.is_floating_point() and isinstance(weight, Tensor) and weight.dim() > 1:
            total += weight.numel() * len(x) * min(math.prod(x.shape[2:]), math.prod(output.shape[2:]))

    modes = {module: module.training for module in network.modules()}
    network.eval()  # nothing is learned from this pass: neither batch statistics nor singular vectors
    try:
        with register_module_forward_hook(add):
            call()
    finally:
        for module, is_training in modes.items():
            module.training = is_training
    return total
