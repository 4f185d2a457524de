"""The default features: a classifier's for labelled images, the pixels of others, the coordinates of points."""

from dataclasses import dataclass
from typing import Any

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data
from gantrain.features.base import Extractor, Features, default_features
from gantrain.registry import build, option, register


@register("features")
@dataclass
class Auto(Features):
    """Picks features by the data; never reaches ``config.json``."""

    name: str = option("auto", "registered name")

    def pick(self, spec: Spec) -> dict[str, Any]:
        """Return the keys of the features that suit this data."""
        return {"name": default_features(spec)}

    def dimension(self, spec: Spec) -> int | None:
        return self._choice(spec).dimension(spec)

    def load(self, data: Data) -> Extractor:
        return self._choice(data.spec).load(data)

    def _choice(self, spec: Spec) -> Features:
        features: Features = build("features", self.pick(spec))
        return features
