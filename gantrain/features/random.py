"""Three layers of fixed random convolutions: features of images of any kind that nobody trained."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, conv2d

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data
from gantrain.features.base import Extractor, Features
from gantrain.features.tools.view import describe_view, size_of_view
from gantrain.registry import option, register

WIDTHS, GRID = (32, 64, 32), 2  # channels of each layer; the last is averaged over 2 x 2 areas
DIMENSION = WIDTHS[-1] * GRID**2


class RandomConvolutions(Extractor):
    """Filters of 3 x 3 signs, scaled as He et al. 2015 scale random ones, each layer followed by a ReLU."""

    def __init__(self, spec: Spec):
        import numpy as np

        super().__init__()
        # NumPy guarantees the stream of this generator, and signs have no rounding: equal bits on every machine.
        draws, channels, weights = np.random.RandomState(0), spec.shape[0], []
        for width in WIDTHS:
            signs = draws.randint(0, 2, (width, channels, 3, 3)) * 2 - 1
            weights.append(nn.Parameter(torch.from_numpy(signs * (2 / (9 * channels)) ** 0.5).float()))
            channels = width
        self.filters = nn.ParameterList(weights)
        self.size = size_of_view(spec)
        self.dimension = DIMENSION
        digest = hashlib.sha256(b"".join(weight.detach().numpy().tobytes() for weight in weights))
        self.protocol = {"preprocessing": describe_view(spec), "sha256": digest.hexdigest()}
        self.bytes_per_sample = 4 * spec.numel + 64 * self.size[0] * self.size[1]

    def forward(self, x: Tensor) -> Tensor:
        x = adaptive_avg_pool2d(x, self.size)
        for weight in self.filters:
            stride = 2 if min(x.shape[2:]) >= 2 * GRID else 1
            x = conv2d(x, weight, stride=stride, padding=1).relu()
        return adaptive_avg_pool2d(x, GRID).flatten(1)


@register("features")
@dataclass
class Random(Features):
    """128 numbers of an image, the same function for everybody, as in Naeem et al. 2020 (sec. 3.3)."""

    name: str = option("random", "registered name")

    def why_unsupported(self, spec: Spec) -> str | None:
        return None if spec.is_image else "they are features of images"

    def dimension(self, spec: Spec) -> int:
        return DIMENSION

    def load(self, data: Data) -> Extractor:
        return RandomConvolutions(data.spec)
