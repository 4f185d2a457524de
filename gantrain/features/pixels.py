"""Samples as they are: the pixels of images, the coordinates of points."""

from dataclasses import dataclass

from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data
from gantrain.features.base import Extractor, Features
from gantrain.registry import option, register


class Identity(Extractor):
    """Every number of a sample, in the data's unit."""

    def __init__(self, spec: Spec):
        super().__init__()
        self.dimension = spec.numel
        self.protocol = {"preprocessing": "none"}
        self.bytes_per_sample = 8 * spec.numel

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


@register("features")
@dataclass
class Pixels(Features):
    """All numbers of a sample: distances are Euclidean ones of pixels or coordinates."""

    name: str = option("pixels", "registered name")

    def dimension(self, spec: Spec) -> int:
        return spec.numel

    def load(self, data: Data) -> Extractor:
        return Identity(data.spec)
