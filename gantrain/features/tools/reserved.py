"""Training samples that no extractor is fitted to, so that they can stand for fresh ones."""

import torch
from torch import Tensor

from gantrain.datasets.base import Data

RESERVED_SHARE = 4  # at most one in so many training samples is reserved


def split_reserved_samples(data: Data) -> tuple[Tensor, Tensor]:
    """Return which training samples a metric's network is fitted to, and the others, which it never sees.

    As many are reserved as are held out, but at most a quarter. None of stacked images, which share their channels,
    and none where no samples are held out: those that stand for held-out ones are then in neither part, unless they are
    all that there are, to which the network is fitted then.
    """
    if data.within is not None:
        is_fitted = torch.ones(len(data.train), dtype=torch.bool)
        if data.holdout is not data.train:
            is_fitted[data.within] = False
        return is_fitted.nonzero()[:, 0], data.within[:0]
    n, shares_parts = len(data.train), data.train.rows is not None and data.train.rows.dim() > 1
    count = 0 if shares_parts else min(len(data.holdout), n // RESERVED_SHARE)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    return order[count:], order[:count]
