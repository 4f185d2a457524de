"""The device and precision of a run, and what a repetition depends on."""

import ctypes
import platform
import sys
from contextlib import AbstractContextManager, nullcontext

import torch

import gantrain
from gantrain.config.device import Device
from gantrain.core.device import check_precision, resolve_device
from gantrain.distributed.group import Group, OneProcess
from gantrain.training.torch_settings import torch_settings

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}  # in which networks run by autocast


class Runtime:
    """Where and how precisely the networks run.

    Attributes:
        group: The processes that play the run.
        device: The torch device.
        precision: ``float32``, ``tf32``, ``bfloat16`` or ``float16``.
        is_mixed: Whether networks run in half precision.
        is_compiled: Whether steps are compiled; ``choose_play`` decides.
        compile_failure: Why they could not be, and are played eagerly; empty if they could.
        replicas: How many runs are played at once, this one among them.
    """

    def __init__(self, options: Device, group: Group | None = None):
        """Resolve the device. Raises ConfigError for one that is not available, or has not this precision."""
        self._options, self.group = options, group or OneProcess()
        self.device = resolve_device(options.kind, options.index)
        self.precision = options.precision
        check_precision(self.precision, self.device)
        self.is_mixed = self.precision in HALF
        self.is_compiled, self.compile_failure = False, ""
        self.replicas = 1
        keep_memory()

    @property
    def threads(self) -> int:
        """CPU threads that torch uses, which may decide the order of sums and so the last bits."""
        return torch.get_num_threads()

    def settings(self) -> AbstractContextManager[None]:
        """Return the context of a run: torch's settings are those of ``device`` inside it, as ``torch_settings``."""
        return torch_settings(self._options, self.device)

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which networks run: autocast to a half precision, or none."""
        # Weights and optimizers stay in float32.
        dtype = HALF.get(self.precision)
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)

    def wait(self) -> None:
        """Wait until the device has computed what it was given, so that a clock measures that too."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

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
            "compiled": self.is_compiled,
            "deterministic": self._options.deterministic,
            "replicas": self.replicas,
            # Sums in an order of their number; exact ones do not depend on it.
            **({"processes": self.group.size} if self._options.reduce == "fast" else {}),
            **self._card(),
        }

    def _card(self) -> dict[str, object]:
        """Return the GPU and the versions of its libraries; nothing for other devices."""
        if self.device.type != "cuda":
            return {}
        card, cudnn = torch.cuda.get_device_name(self.device), torch.backends.cudnn.version()
        return {"card": card, "cuda": torch.version.cuda or torch.version.hip, "cudnn": cudnn}


def keep_memory() -> None:
    """Make glibc keep large freed blocks: mapping activations anew at each step costs up to a third of the time."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc, trim_threshold, mmap_threshold = ctypes.CDLL(None), -1, -3  # M_…_THRESHOLD of malloc.h
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)
