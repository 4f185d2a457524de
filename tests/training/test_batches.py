"""Training batches: every sample once an epoch, each a function of its number."""

import pytest
import torch

from gantrain.datasets.base import Split
from gantrain.training.batches import Batches


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
