"""Features of a small network that stands for a published one, with class scores, for images of any shape."""

from dataclasses import dataclass

import torch

from gantrain.features.base import Extractor, Features

WIDTH = 24


class Small(Extractor):
    """A layer of fixed random weights."""

    dimension, protocol, bytes_per_sample = WIDTH, {"preprocessing": "none", "sha256": "0" * 64}, 4000

    def __init__(self, numel: int):
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        self.weight, self.scores = (torch.randn(n, WIDTH, generator=draws) for n in (numel, 10))

    def forward(self, x):
        return (x.flatten(1) @ self.weight / 8).relu()

    def logits(self, features):
        return features @ self.scores.T


@dataclass
class SmallPublished(Features):
    """What ``Small`` computes; it is not registered."""

    name: str = "small"
    is_published, has_logits = True, True

    def dimension(self, spec):
        return WIDTH

    def load(self, data):
        return Small(data.spec.numel)
