"""The machine: device, precision, threads, and randomness that is a function of (seed, step, purpose)."""

from __future__ import annotations

import ctypes
import hashlib
import platform
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

import gantrain
from gantrain.datasets.base import Split
from gantrain.errors import ConfigError
from gantrain.options import Device


def available() -> list[str]:
    """Return the kinds of device this machine has, the best first."""
    kinds = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)]
    return [kind for kind, present in kinds if present]


def placed(options: Device) -> torch.device:
    """Return the device that is asked for, and change nothing.

    Raises:
        ConfigError: When it is not there: another one is never taken silently.
    """
    here = available()
    kind = here[0] if options.kind == "auto" else options.kind
    if kind not in here:
        raise ConfigError("device", f"{kind} is not on this machine", f"choose from auto, {', '.join(here)}")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if options.index >= count:
        what = f"there is no {kind} device {options.index}"
        raise ConfigError("device.index", what, f"give 0 to {count - 1}, or leave it out")
    return torch.device(kind, options.index) if kind == "cuda" else torch.device(kind)


class Runtime:
    """Where and how precisely the networks run.

    Attributes:
        device: The torch device.
        threads: CPU threads that torch uses.
    """

    def __init__(self, options: Device):
        """Take the device and its share of threads. Raises ConfigError as ``placed``."""
        self.device = placed(options)
        self._bfloat16 = options.precision == "bfloat16"
        self.precision = options.precision
        if options.threads:
            torch.set_num_threads(options.threads)
        self.threads = torch.get_num_threads()
        keep_memory()

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which networks run: bfloat16 where asked for, else nothing."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16)

    def environment(self) -> dict[str, object]:
        """Return what a bit-for-bit repetition depends on, as plain data."""
        return {
            "gantrain": gantrain.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "device": str(self.device),
            "precision": self.precision,
            "threads": self.threads,
        }


def keep_memory() -> None:
    """Tell glibc to keep large freed blocks: an activation freed and mapped anew each step costs up to a third."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)


def stream(seed: int, step: int, purpose: str) -> torch.Generator:
    """Return the CPU generator for one purpose in one step; nothing random need be saved or shared."""
    key = hashlib.blake2b(f"{seed}/{step}/{purpose}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(key, "little") >> 1)


@dataclass
class Batches:
    """The endless shuffled stream of training batches, addressed by number.

    Every sample is seen once in each pass; pass ``e`` is in the order that (seed, e) gives.

    Attributes:
        split: The training data.
        size: Samples in a batch.
        seed: The run's seed.
        device: Where batches go.
    """

    split: Split
    size: int
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        self._orders: dict[int, Tensor] = {}

    def __call__(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Return batch ``number`` of the run: samples [size, ...] and their labels [size] or None."""
        at, end, count = number * self.size, (number + 1) * self.size, len(self.split)
        pieces = []
        while at < end:
            turn, start = divmod(at, count)
            stop = min(count, start + end - at)
            pieces.append(self._order(turn)[start:stop])
            at += stop - start
        return self.split.take(pieces[0] if len(pieces) == 1 else torch.cat(pieces), self.device)

    def _order(self, turn: int) -> Tensor:
        if turn not in self._orders:
            self._orders = {t: order for t, order in self._orders.items() if t == turn - 1}
            self._orders[turn] = torch.randperm(len(self.split), generator=stream(self.seed, turn, "order"))
        return self._orders[turn]
