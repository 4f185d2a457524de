"""The device to compute on: which kinds this machine has, and the one that a config names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantrain.errors import ConfigError

if TYPE_CHECKING:
    import torch


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
