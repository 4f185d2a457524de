"""Samples as they are: the pixels of images, the coordinates of points."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data
from gantrain.features.base import Extractor, Features
from gantrain.features.tools.view import describe_view, is_averaged, size_of_view
from gantrain.registry import option, register


class Numbers(Extractor):
    """Every number of a sample, in the data's unit; of a large image every average over an area."""

    def __init__(self, spec: Spec):
        super().__init__()
        self.size = size_of_view(spec) if is_averaged(spec) else None
        self.dimension = spec.shape[0] * math.prod(self.size) if self.size else spec.numel
        self.protocol = {"preprocessing": describe_view(spec)}
        self.bytes_per_sample = 12 * spec.numel

    def forward(self, x: Tensor) -> Tensor:
        return (adaptive_avg_pool2d(x, self.size) if self.size else x).flatten(1)


@register("features")
@dataclass
class Pixels(Features):
    """All numbers of a sample: distances are Euclidean ones of coordinates, or of pixels, at most 32 x 32 of them."""

    name: str = option("pixels", "registered name")

    def dimension(self, spec: Spec) -> int:
        return spec.shape[0] * math.prod(size_of_view(spec)) if spec.is_image else spec.numel

    def load(self, data: Data) -> Extractor:
        return Numbers(data.spec)
