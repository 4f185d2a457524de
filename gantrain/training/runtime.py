"""The device and precision of a run, and what a repetition depends on."""

import ctypes
import platform
import sys
from contextlib import AbstractContextManager

import torch

import gantrain
from gantrain.config.options import Device
from gantrain.core.device import resolve_device


class Runtime:
    """Where and how precisely the networks run.

    Attributes:
        device: The torch device.
        precision: ``float32`` or ``bfloat16``.
    """

    def __init__(self, options: Device):
        """Resolve the device. Raises ConfigError as ``resolve_device``."""
        self.device = resolve_device(options.kind, options.index)
        self.precision = options.precision
        keep_memory()

    @property
    def threads(self) -> int:
        """CPU threads that torch uses, which may decide the order of sums and so the last bits."""
        return torch.get_num_threads()

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which networks run: bfloat16 autocast, or none."""
        # Weights and optimizers stay in float32.
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

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
    """Make glibc keep large freed blocks: mapping activations anew at each step costs up to a third of the time."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc, trim_threshold, mmap_threshold = ctypes.CDLL(None), -1, -3  # M_…_THRESHOLD of malloc.h
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)
