"""How torch computes during a run: the keys of ``device`` in effect, and the process as it was after it."""

import gc
import os
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch

from gantrain.config.device import Device
from gantrain.core.float32 import tf32_products
from gantrain.errors import ConfigError

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
WORKSPACES = (":4096:8", ":16:8")  # with which cuBLAS repeats its bits


@contextmanager
def torch_settings(options: Device, device: torch.device) -> Iterator[None]:
    """Compute inside the block as ``options`` say; after it all settings are as before, and memory is returned.

    Raises:
        ConfigError: For ``device.deterministic`` in a process whose cuBLAS cannot be, or tf32 on a card without it.
    """
    with ExitStack() as stack:
        if device.type == "cuda":
            stack.enter_context(gpu_memory(device, options.memory_fraction))
            stack.enter_context(tf32_of_card(options.precision == "tf32", device))
            # For every run: cuBLAS reads it once, and a later run of this process may be deterministic.
            if not torch.cuda.is_initialized():
                os.environ.setdefault(CUBLAS, WORKSPACES[0])
        if options.deterministic:
            stack.enter_context(deterministic_algorithms(device))
        yield


@contextmanager
def deterministic_algorithms(device: torch.device) -> Iterator[None]:
    """Inside the block torch takes deterministic algorithms alone, and refuses an operation that has none.

    Raises:
        ConfigError: When cuBLAS of this process has a workspace with which its sums vary.
    """
    if device.type == "cuda" and os.environ.get(CUBLAS) not in WORKSPACES:
        what = f"needs {CUBLAS}={WORKSPACES[0]} before CUDA starts, and it is {os.environ.get(CUBLAS, 'not set')}"
        raise ConfigError("device.deterministic", what, f"type {CUBLAS}={WORKSPACES[0]} before the command")
    cudnn, memory = torch.backends.cudnn, cast(Any, torch.utils.deterministic)  # a property of a module
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    flags = cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # Nothing here reads memory that it has not written, so filling it would only cost time.
    cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory = True, False, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory = flags


@contextmanager
def tf32_of_card(is_enabled: bool, device: torch.device) -> Iterator[None]:
    """Inside the block products and convolutions of float32 on CUDA are in TF32, or in float32 throughout.

    Raises:
        ConfigError: For a card older than Ampere, which has no TF32.
    """
    if is_enabled and torch.cuda.get_device_capability(device) < (8, 0):
        what = f"{torch.cuda.get_device_name(device)} has no tf32"
        raise ConfigError("device.precision", what, "choose float32")
    with tf32_products(is_enabled):
        yield


@contextmanager
def gpu_memory(device: torch.device, fraction: float) -> Iterator[None]:
    """Inside the block this process may take a fraction of a GPU's memory; after it what torch kept is returned."""
    before = torch.cuda.get_per_process_memory_fraction(device)
    torch.cuda.set_per_process_memory_fraction(fraction, device)
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(
            error.__traceback__
        )  # whose variables hold the networks as long as the error lives
        raise
    finally:
        torch.cuda.set_per_process_memory_fraction(before, device)
        gc.collect()
        torch.cuda.empty_cache()
