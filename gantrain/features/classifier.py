"""What a small classifier of the data's own labels reads its scores from."""

from dataclasses import dataclass

from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data
from gantrain.features.base import Extractor, Features
from gantrain.features.tools.classifier import WIDTH, outputs, shared_classifier
from gantrain.registry import option, register


class Penultimate(Extractor):
    """The activations before a classifier's last layer: of each channel, if channels have classes of their own."""

    def __init__(self, classifier: nn.Sequential, spec: Spec):
        super().__init__()
        self.layers = classifier[:-1]
        self.dimension = WIDTH * (spec.shape[0] if spec.channel_classes else 1)
        self.protocol = {"preprocessing": "none", "fitted_to": "labels of the training split"}
        self.bytes_per_sample = 64 * spec.numel  # 32 channels of half the height and width, and their ReLU

    def forward(self, x: Tensor) -> Tensor:
        return outputs(self.layers, x).flatten(1)


@register("features")
@dataclass
class Classifier(Features):
    """128 numbers that a small classifier, trained on the labels of the training split, computes of a sample."""

    name: str = option("classifier", "registered name")

    def why_unsupported(self, spec: Spec) -> str | None:
        return None if spec.classes > 1 else "these data have no labels to train a classifier on"

    def dimension(self, spec: Spec) -> int:
        return WIDTH * (spec.shape[0] if spec.channel_classes else 1)

    def load(self, data: Data) -> Extractor:
        return Penultimate(shared_classifier(data), data.spec)
