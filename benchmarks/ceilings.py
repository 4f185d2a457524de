"""What a device can do at most, and what a step asks of it: operations, and bytes that move."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from gantrain.training.runtime import HALF


class Cost(TorchDispatchMode):
    """Counts what the operations inside its block do.

    Attributes:
        flop: Operations of products and convolutions, by torch's own formulas.
        moved: Bytes of the tensors that are read and written; views move none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flop, self.moved = 0, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if formula := flop_registry.get(function._overloadpacket):
            self.flop += formula(*args, **kwargs, out_val=result)
        if not function.is_view:
            tensors = (x for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor))
            self.moved += sum(x.nbytes for x in tensors)
        return result


@dataclass(frozen=True)
class Ceilings:
    """What a device can do: bytes a second of a copy, read and written, and operations a second by precision."""

    bandwidth: float
    flop: dict[str, float]

    @classmethod
    def of(cls, device: torch.device, precisions: Sequence[str], is_quick: bool) -> Ceilings:
        """Measure both with one large operation."""
        side, numbers = (256, 2**20) if is_quick or device.type == "cpu" else (8192, 2**29)
        source, target = (torch.ones(numbers, device=device) for _ in range(2))
        bandwidth = 2 * source.nbytes / seconds_of(lambda: target.copy_(source), device)
        rates = {}
        for precision in precisions:
            square = torch.randn(side, side, device=device, dtype=HALF.get(precision, torch.float32))
            torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
            rates[precision] = 2 * side**3 / seconds_of(partial(torch.matmul, square, square), device)
        torch.set_float32_matmul_precision("highest")
        return cls(bandwidth, rates)


def seconds_of(work: Callable[[], object], device: torch.device, calls: int = 20) -> float:
    """Return the least seconds of one call, of three rounds."""
    rounds = []
    for _ in range(4):  # the first chooses kernels
        wait_for(device)
        began = time.perf_counter()
        for _ in range(calls):
            work()
        wait_for(device)
        rounds.append((time.perf_counter() - began) / calls)
    return min(rounds[1:])


def wait_for(device: torch.device) -> None:
    """Wait until a device has computed what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
