"""The device to compute on: which kinds this machine has, the one that a config names, and copies to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantrain.errors import ConfigError

if TYPE_CHECKING:
    import torch

CUDA_PRECISIONS = {
    "tf32": "is a format of NVIDIA's matrix units",
    "float16": "needs a GPU: its gradients are scaled for CUDA alone",
}


def available_devices() -> list[str]:
    """Return the available kinds of device, fastest first: cuda, mps, cpu."""
    import torch

    kinds = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)]
    return [kind for kind, present in kinds if present]


def resolve_device(kind: str, index: int = 0) -> torch.device:
    """Return the device of a kind, or with ``auto`` the best available.

    Args:
        kind: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        index: Which of several GPUs.

    Raises:
        ConfigError: When it is not available; no other device takes its place.
    """
    import torch

    available = available_devices()
    kind = available[0] if kind == "auto" else kind
    if kind not in available:
        remedy = f"choose from auto, {', '.join(available)}"
        raise ConfigError("device", f"{kind} is not on this machine", remedy)
    # Only CUDA numbers its devices.
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if index >= count:
        what = f"there is no {kind} device {index}"
        raise ConfigError("device.index", what, f"give 0 to {count - 1}, or leave it out")
    return torch.device(kind, index) if kind == "cuda" else torch.device(kind)


def check_precision(precision: str, device: torch.device) -> None:
    """Check that networks can train in a precision on a device. Raises ConfigError."""
    if precision in CUDA_PRECISIONS and device.type != "cuda":
        what = f"{precision} {CUDA_PRECISIONS[precision]}, and this run is on {device.type}"
        other = ", or set device=cuda" if "cuda" in available_devices() else ""
        raise ConfigError("device.precision", what, f"choose float32 or bfloat16{other}")


def upload(x: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor on a device; from the CPU to CUDA by a copy that the host does not wait for."""
    if device.type == "cuda" and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


def free_memory(device: torch.device) -> int:
    """Return the bytes that this process may still take of a CUDA device, within its share of the memory."""
    import torch

    free, total = torch.cuda.mem_get_info(device)
    share = int(total * torch.cuda.get_per_process_memory_fraction(device))
    # What torch holds and does not use counts as taken, though it would be used first.
    return min(free, share - torch.cuda.memory_reserved(device))
