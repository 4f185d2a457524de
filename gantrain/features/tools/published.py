"""Features of a network whose weights somebody published."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data
from gantrain.features.base import Extractor, Features
from gantrain.features.tools.pictures import why_no_photographs
from gantrain.features.tools.weights import read_weights
from gantrain.registry import option


@dataclass
class PublishedFeatures(Features):
    """What a network that was trained on photographs sees in an image, the same on every machine.

    Attributes:
        width: Numbers that each image becomes.
        sha256: Of the published file, in hex.
        source: Where to get the file: the end of an error's line.
    """

    weights: str = option("", "file of the weights, or its name in torch's folder of downloads")
    is_published: ClassVar[bool] = True
    width: ClassVar[int]
    sha256: ClassVar[str]
    source: ClassVar[str]

    def why_unsupported(self, spec: Spec) -> str | None:
        return why_no_photographs(spec)

    def dimension(self, spec: Spec) -> int:
        return self.width

    def check_weights(self) -> None:
        self.load_weights()

    def load_weights(self) -> tuple[dict[str, Tensor], str]:
        """Return the tensors of the published file by name, and its SHA-256. Raises DataError for another file."""
        return read_weights(self.weights, self.sha256, self.source)

    def load(self, data: Data) -> Extractor:
        tensors, digest = self.load_weights()
        extractor = self.network(tensors)
        extractor.protocol = {**extractor.protocol, "sha256": digest}
        return extractor

    @abstractmethod
    def network(self, tensors: Mapping[str, Tensor]) -> Extractor:
        """Return the network with the weights of the published file. Raises DataError for those of another one."""
