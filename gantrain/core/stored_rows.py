"""Rows of bytes in a file, read where they are needed, so that data larger than the memory can be trained on."""

import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from gantrain.errors import DataError

PIECE_BYTES = 2**24  # read together where all rows are


class StoredRows:
    """Rows of a file: uint8 [N, ...], one after another from its first byte.

    They are read, not mapped: pages of a map stay in the memory of the process.

    Args:
        path: The file, which stays open.
        shape: Of all rows.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]):
        self.path, self.shape = path, shape
        self._bytes = torch.Size(shape[1:]).numel()
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def read(self, rows: Tensor) -> Tensor:
        """Return rows by number, [n] to [n, ...]. Raises DataError for a file that is too short by now."""
        self.prefetch(rows)
        x = torch.empty(len(rows), *self.shape[1:], dtype=torch.uint8)
        for view, row in zip(x.flatten(1).numpy(), rows.tolist(), strict=True):
            if os.preadv(self._file, [view], row * self._bytes) != self._bytes:
                raise DataError(self.path, "has become shorter", "delete it, and start again")
        return x

    def prefetch(self, rows: Tensor) -> None:
        """Let the system read rows from the disk, all side by side, while the program goes on."""
        if hasattr(os, "posix_fadvise"):
            for row in rows.tolist():
                os.posix_fadvise(self._file, row * self._bytes, self._bytes, os.POSIX_FADV_WILLNEED)

    def pieces(self) -> Iterator[Tensor]:
        """Yield all rows in order, some megabytes at a time."""
        yield from map(self.read, torch.arange(self.shape[0]).split(max(1, PIECE_BYTES // self._bytes)))
