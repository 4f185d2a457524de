"""Rows read from a file: those of the same data in memory, without a page of the file that stays."""

import os
import re
import sys
from pathlib import Path

import pytest
import torch

from gantrain.core import stored_rows
from gantrain.core.stored_rows import StoredRows
from gantrain.datasets.base import Split
from gantrain.errors import DataError
from gantrain.training.batches import Batches


@pytest.fixture
def made(tmp_path):
    """Return a function that writes rows of random bytes, and returns them in memory and in their file."""

    def make(*shape: int) -> tuple[torch.Tensor, StoredRows]:
        x = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        (tmp_path / "rows").write_bytes(x.numpy().tobytes() + b"more")
        return x, StoredRows(tmp_path / "rows", shape)

    return make


@pytest.mark.parametrize("rows", [[0, 1, 2], [29, 0, 29, 7], [], [5]], ids=str)
def test_rows_are_read_in_any_order(made, rows):
    x, file = made(30, 3, 4, 5)
    found = file.read(torch.tensor(rows, dtype=torch.int64))
    assert torch.equal(found, x[rows])


def test_pieces_are_all_rows_in_order(made, monkeypatch):
    x, file = made(30, 7)
    monkeypatch.setattr(stored_rows, "PIECE_BYTES", 4 * 7)
    pieces = list(file.pieces())
    assert [len(piece) for piece in pieces] == [*[4] * 7, 2]
    assert torch.equal(torch.cat(pieces), x)


def test_batches_from_a_file_are_those_from_memory(made):
    x, file = made(30, 1, 2, 2)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))[:23]
    device = torch.device("cpu")
    memory = Batches(Split(x[order], order), 4, 0, device)
    stored = Batches(Split(torch.empty(0), order, order, file), 4, 0, device)  # x is not read
    for number in (0, 1, 5, 6, 2, 40):  # across epochs, and back
        for one, other in zip(memory(number), stored(number), strict=True):
            assert torch.equal(one, other)


def test_a_file_that_became_shorter_is_named(made, tmp_path):
    _, file = made(30, 7)
    os.truncate(tmp_path / "rows", 29 * 7 + 3)
    file.read(torch.arange(29))
    with pytest.raises(DataError, match=r"rows: has become shorter; ") as fault:
        file.read(torch.tensor([29]))
    assert fault.value.where == tmp_path / "rows"


def test_the_file_is_closed_with_its_last_user(made):
    _, file = made(3, 2)
    number = file._file
    os.fstat(number)
    del file
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_reading_all_rows_leaves_no_page_of_the_file(made):
    def resident_kilobytes() -> int:
        found = re.search(r"^RssFile:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
        return int(found[1])

    x, file = made(2**8, 2**15)  # 8 MiB
    file.read(torch.arange(1))
    before = resident_kilobytes()
    assert sum(len(piece) for piece in file.pieces()) == len(x)
    assert resident_kilobytes() - before < 2**10
    mapped = torch.from_file(str(file.path), shared=False, size=x.numel(), dtype=torch.uint8)
    assert mapped.sum() == x.sum()
    assert resident_kilobytes() - before >= 2**13  # as a map would
