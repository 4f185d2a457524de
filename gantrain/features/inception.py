"""What the Inception network of published scores sees, run by torch-fidelity on weights that were fetched before."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gantrain.errors import DataError
from gantrain.features.base import Extractor
from gantrain.features.tools.pictures import levels
from gantrain.features.tools.published import PublishedFeatures
from gantrain.registry import option, register

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
FILE = "weights-inception-2015-12-05-6726825d.pth"


class InceptionV3(Extractor):
    """torch-fidelity's Inception-v3 (Szegedy et al. 2016) with the weights of the first FID (Heusel et al. 2017)."""

    dimension = 2048
    protocol: Mapping[str, object] = {
        "preprocessing": "8 bits, TensorFlow's bilinear without antialiasing to 299 x 299, (x - 128) / 128"
    }
    bytes_per_sample = 4 * 64 * 147**2 * 3  # of the third convolution, its batch norm, and its input

    def __init__(self, tensors: Mapping[str, Tensor]):
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        super().__init__()
        # It opens its file as a pickle that may run code, so it gets one that was written here.
        file = io.BytesIO()
        torch.save(dict(tensors), file)
        file.seek(0)
        self.layers = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], file)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(levels(x).byte())[0]

    def logits(self, features: Tensor) -> Tensor:
        """Return the scores [N, 1008] of the classes, without bias as torch-fidelity does, of features [N, 2048]."""
        return features @ self.layers.fc.weight.T


@register("features")
@dataclass
class Inception(PublishedFeatures):
    """The 2,048 pooled features of the Inception network that published FIDs are computed on.

    A published FID also states n, most often 50,000, the data and how they were resized: with fewer samples it is
    higher.
    """

    name: str = option("inception", "registered name")
    weights: str = option(FILE, "file of the weights, or its name in torch's folder of downloads")
    has_logits: ClassVar[bool] = True
    width: ClassVar[int] = InceptionV3.dimension
    sha256: ClassVar[str] = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
    source: ClassVar[str] = f"download {URL}{FILE} into that folder"

    def network(self, tensors: Mapping[str, Tensor]) -> Extractor:
        try:
            return InceptionV3(tensors)
        except RuntimeError as error:  # torch's, with a list of all names
            what = "holds the weights of another network"
            raise DataError(self.weights, what, self.source) from error
