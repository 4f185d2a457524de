"""What a small classifier of the data's own labels reads its scores from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data
from gantrain.features.base import Extractor, Features
from gantrain.features.tools.classifier import WIDTH, ClassNetwork, classifier, shared_classifier
from gantrain.features.tools.view import describe_view, size_of_view
from gantrain.features.tools.weights import fill, read_weights
from gantrain.registry import option, register


class Penultimate(Extractor):
    """The activations before a classifier's last layer: of each channel, if channels have classes of their own."""

    def __init__(self, classifier: ClassNetwork, spec: Spec):
        super().__init__()
        self.layers = classifier[:-1]
        self.dimension = WIDTH * (spec.shape[0] if spec.channel_classes else 1)
        self.protocol = {
            "preprocessing": describe_view(spec),
            "weights": classifier.origin,
            "sha256": classifier.sha256,
        }
        # 32 channels of half the height and width, and their ReLU
        h, w = size_of_view(spec) if spec.is_image else (1, spec.numel)
        self.bytes_per_sample = 4 * spec.numel + 64 * h * w * (spec.shape[0] if spec.channel_classes else 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)


@register("features")
@dataclass
class Classifier(Features):
    """128 numbers that a small classifier of the data's own labels computes of a sample.

    That of digits and MNIST comes with the package; that of other data is trained once on the training split, and
    kept in the cache: ``weights`` of that file compares another run by the same network.
    """

    name: str = option("classifier", "registered name")
    weights: str | None = option(
        None, "safetensors of a classifier that another machine trained; null for none"
    )

    def why_unsupported(self, spec: Spec) -> str | None:
        return None if spec.classes > 1 else "these data have no labels to train a classifier on"

    def dimension(self, spec: Spec) -> int:
        return WIDTH * (spec.shape[0] if spec.channel_classes else 1)

    def check_weights(self) -> None:
        if self.weights is not None:
            read_weights(self.weights)

    def load(self, data: Data) -> Extractor:
        if self.weights is None:
            return Penultimate(shared_classifier(data), data.spec)
        tensors, digest = read_weights(self.weights)
        with torch.random.fork_rng(devices=[]):  # initial weights use torch's global generator
            network = classifier(data.spec)
        fill(network, tensors, self.weights)
        network.origin, network.sha256 = "of features.weights", digest
        return Penultimate(network, data.spec)
