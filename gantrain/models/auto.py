"""The default model: fully connected for points, convolutional for images."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from gantrain.core.spec import Spec
from gantrain.models.base import Generator, Model, Player
from gantrain.registry import build, option, register


@register("model")
@dataclass
class Auto(Model):
    """Picks mlp or dcgan by the data, and owns only the keys that both share; never reaches ``config.json``."""

    name: str = option("auto", "registered name")
    z_dim: int | None = option(  # type: ignore[assignment]
        None, "dimension of the latent z; null for the picked model's default", minimum=1, maximum=65536
    )
    width: int | None = option(
        None, "width of the layers; null for the picked model's default", minimum=1, maximum=65536
    )
    d_width: int | None = option(None, "width of D; null is model.width", minimum=1, maximum=65536)

    def pick(self, spec: Spec) -> dict[str, Any]:
        """Return the keys of the model that suits this data: those set here, under its name."""
        keys = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        return keys | {"name": "dcgan" if spec.is_image and min(spec.shape[1:]) >= 8 else "mlp"}

    def generator(self, spec: Spec) -> Generator:
        return build("model", self.pick(spec)).generator(spec)

    def discriminator(self, spec: Spec) -> Player:
        return build("model", self.pick(spec)).discriminator(spec)
