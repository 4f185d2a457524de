"""Randomness as a function of (seed, step, purpose)."""

import hashlib

import torch


def stream(seed: int, step: int, purpose: str) -> torch.Generator:
    """Return the CPU generator for one purpose in one step; nothing random need be saved or shared."""
    # 64 bits of the key's hash; the shift keeps the seed within a signed 64-bit integer.
    key = hashlib.blake2b(f"{seed}/{step}/{purpose}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(key, "little") >> 1)
