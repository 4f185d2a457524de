"""Tensors by memory that all processes of a machine map. Threads stand for processes."""

import sys
import tempfile
import time

import pytest
import torch
from thread_group import in_threads

from gantrain.distributed.shared_memory import CAPACITY, SharedMemory, open_shared_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory without a file's name is Linux's")
TENSORS = [
    torch.tensor(2.5),
    torch.arange(6).reshape(2, 3).T,
    torch.rand(3, 4, 2, 2, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last),
    torch.tensor([True, False]),
    torch.linspace(0, 1, CAPACITY // 8, dtype=torch.float64),
]


@pytest.mark.parametrize("size", [2, 3])
def test_all_processes_gather_the_tensors_of_all_in_order(size):
    def work(group):
        memory = open_shared_memory(group, 10)
        gathered = []
        for turn in range(4):
            for x in TENSORS:
                time.sleep(0.001 * ((group.rank + turn) % size))  # each is the last one at times
                gathered.append(memory.gather(x + group.rank + turn if x.dtype != torch.bool else x))
        return gathered

    results = in_threads(size, work)
    for turn in range(4):
        for place, x in enumerate(TENSORS):
            expected = [x + rank + turn if x.dtype != torch.bool else x for rank in range(size)]
            for gathered in results:
                torch.testing.assert_close(gathered[turn * len(TENSORS) + place], expected, rtol=0, atol=0)


def test_only_tensors_up_to_the_capacity_fit():
    assert SharedMemory.fits(torch.empty(CAPACITY, dtype=torch.uint8))
    assert not SharedMemory.fits(torch.empty(CAPACITY + 1, dtype=torch.uint8))
    assert not SharedMemory.fits(torch.empty(1, device="meta"))


def test_a_process_that_ends_wakes_those_that_wait():
    def work(group):
        memory = open_shared_memory(group, 60)
        memory.gather(torch.zeros(3))
        began = time.monotonic()
        if group.rank == 1:
            memory.close()
            return 0.0
        with pytest.raises(ConnectionError):
            memory.gather(torch.zeros(3))
        return time.monotonic() - began

    assert max(in_threads(3, work)) < 20


def test_a_process_that_stands_still_is_not_waited_for_longer():
    def work(group):
        memory = open_shared_memory(group, 0.2)
        if group.rank == 1:
            return group.wait()
        with pytest.raises(TimeoutError):
            memory.gather(torch.zeros(3))
        return group.wait()

    in_threads(2, work)


def test_processes_that_cannot_meet_share_no_memory(monkeypatch, tmp_path):
    def work(group):
        exchange, turns = group.exchange, []

        def elsewhere(value):
            turns.append(value)
            found = exchange(value)
            # Rank 1 does not see the folder of rank 0, as in another container.
            return [str(tmp_path / "none")] * 2 if len(turns) == 1 and group.rank == 1 else found

        group.exchange = elsewhere
        return open_shared_memory(group, 10)

    assert in_threads(2, work) == [None, None]
    (tmp_path / ("long" * 30)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 30)))
    assert in_threads(2, lambda group: open_shared_memory(group, 10)) == [None, None]
