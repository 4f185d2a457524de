"""What is made and copied ahead of a step: the same values in any order, each aligned in its buffer."""

import threading

import pytest
import torch

from gantrain.training.transfer import ALIGNMENT, Ahead, Sender, pack, unpack

CPU = torch.device("cpu")


def test_ahead_returns_the_function_in_any_order_and_repeats():
    calls: list[int] = []

    def square(number: int) -> int:
        calls.append(number)
        return number * number

    ahead = Ahead(square)
    order = [0, 1, 2, 3, 40, 41, 5, 5, 6, 0]
    assert [ahead(number) for number in order] == [number * number for number in order]
    assert calls.count(3) == calls.count(41) == 1  # computed once, ahead


def test_ahead_computes_in_one_thread_and_raises_its_errors():
    threads = set()

    def fail_at_three(number: int) -> int:
        threads.add(threading.get_ident())
        if number == 3:
            raise ValueError("three")
        return number

    ahead = Ahead(fail_at_three)
    assert [ahead(number) for number in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        ahead(3)
    assert ahead(4) == 4
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_packed_tensors_come_back_equal_and_aligned():
    tensors = [
        torch.randn(3, 5),
        torch.randint(9, (7,)),
        torch.rand(11) > 0.5,
        torch.tensor(2.5),
        torch.empty(0, 4),
        torch.randn(4, 6).T,
    ]
    buffer = pack(tensors)
    found = unpack(buffer, tensors)
    assert buffer.numel() < sum(x.nbytes for x in tensors) + ALIGNMENT * len(tensors)
    for x, copy in zip(tensors, found, strict=True):
        assert copy.dtype == x.dtype
        assert torch.equal(copy, x)
        assert copy.storage_offset() * copy.element_size() % ALIGNMENT == 0
    assert pack([]).numel() == 0


def test_sender_to_the_cpu_copies_nothing():
    sender, x = Sender(CPU), torch.ones(3)
    (received,) = sender.receive(sender.send([x]))
    assert received is x
