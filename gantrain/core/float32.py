"""Float32 throughout, for numbers that must not depend on the precision of a run."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


@contextmanager
def tf32_products(is_enabled: bool) -> Iterator[None]:
    """Inside the block products and convolutions of float32 on CUDA are in TF32, or in float32 throughout."""
    # By default torch multiplies matrices in float32, and convolves in TF32.
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if is_enabled else "highest")
    torch.backends.cudnn.allow_tf32 = is_enabled
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Inside the block no layer on the device computes in less than float32, whatever the run does."""
    products = tf32_products(False) if device.type == "cuda" else nullcontext()
    with torch.autocast(device.type, enabled=False), products:
        yield
