"""Training batches: every sample once an epoch, each a function of its number."""

import pytest
import torch

from gantrain.core.device import free_memory
from gantrain.datasets.base import Split
from gantrain.training.batches import Batches
from gantrain.training.transfer import Ahead, Sender


@pytest.mark.parametrize("size", [1, 7, 10, 33, 100])
def test_batches_of_an_epoch_have_each_sample_once_reordered(size):
    n = 100
    batches = Batches(Split(torch.arange(n).float()[:, None], torch.arange(n)), size, 3, torch.device("cpu"))
    passes = 7
    shown = torch.cat([batches(i)[0] for i in range(passes * n // size)]).flatten().long()
    orders = [shown[start : start + n] for start in range(0, len(shown) - n + 1, n)]
    assert len(orders) >= passes - 1
    for order in orders:
        assert torch.equal(order.sort().values, torch.arange(n))
    assert len({tuple(order.tolist()) for order in orders}) == len(orders)


def test_batches_do_not_depend_on_the_order_of_access():
    split = Split(torch.arange(23).float()[:, None], torch.arange(23))
    forward = Batches(split, 5, 1, torch.device("cpu"))
    inorder = [forward(i) for i in range(40)]
    jumping = Batches(split, 5, 1, torch.device("cpu"))
    for i in [39, 0, 17, 4, 5, 4, 38, 3, 20]:
        x, y = jumping(i)
        assert torch.equal(x, inorder[i][0])
        assert torch.equal(y, inorder[i][1])
        assert torch.equal(x.flatten().long(), y)
    other = Batches(split, 5, 2, torch.device("cpu"))
    assert not torch.equal(other(0)[0], inorder[0][0])


@pytest.mark.parametrize("labels", [None, torch.arange(23)])
@pytest.mark.parametrize("rows", [None, torch.arange(23).flip(0)])
def test_batches_sent_ahead_are_those_taken_at_once(labels, rows):
    split = Split(torch.arange(23 * 3, dtype=torch.uint8).reshape(23, 3), labels, rows)
    at_once, ahead = (Batches(split, 5, 1, torch.device("cpu")) for _ in range(2))
    ahead._sender, ahead._ahead = Sender(torch.device("cpu")), Ahead(ahead._send)
    for i in [0, 1, 2, 39, 40, 4, 4, 5]:
        (x, y), (same_x, same_y) = at_once(i), ahead(i)
        assert x.dtype == torch.float32
        assert torch.equal(x, same_x)
        assert y is None if same_y is None else torch.equal(y, same_y)


@pytest.mark.parametrize("free, is_resident", [(59, False), (60, True)])
def test_split_is_resident_where_half_the_memory_holds_it(monkeypatch, free, is_resident):
    split = Split(torch.zeros(10, 2, dtype=torch.uint8), torch.zeros(10, dtype=torch.uint8))  # 30 bytes
    monkeypatch.setattr("gantrain.datasets.base.free_memory", lambda device: free)
    copies = []
    monkeypatch.setattr(torch.Tensor, "to", lambda x, device: copies.append(device) or x)
    device = torch.device("cuda", 0)
    assert (split.resident(device) is not split) == is_resident
    assert copies == [device] * 2 * is_resident
    assert split.resident(torch.device("cpu")) is split


@pytest.mark.parametrize(
    "free, share, held, expected", [(70, 1.0, 10, 70), (70, 0.5, 10, 40), (30, 0.5, 10, 30)]
)
def test_free_memory_is_within_the_share_of_the_process(monkeypatch, free, share, held, expected):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 100))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: share)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: held)
    assert free_memory(torch.device("cuda", 0)) == expected
