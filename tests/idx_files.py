"""A few pictures in the form in which MNIST's files lie on disk."""

import struct
from pathlib import Path

import torch


def write_idx(raw: Path, train: int, test: int) -> None:
    """Write random 28x28 pictures with labels 0 to 9 in turn, as torchvision lays them out in ``raw``."""
    raw.mkdir(parents=True)
    for part, count in (("train", train), ("t10k", test)):
        pixels = torch.randint(0, 256, (count, 28, 28), generator=torch.Generator().manual_seed(count))
        images = struct.pack(">IIII", 0x803, count, 28, 28) + bytes(pixels.flatten().tolist())
        labels = struct.pack(">II", 0x801, count) + bytes(i % 10 for i in range(count))
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
