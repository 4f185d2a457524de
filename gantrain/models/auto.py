"""The default model: by the data, their resolution and the device."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from gantrain.core.spec import Spec
from gantrain.models.base import Discriminator, Generator, Model
from gantrain.registry import build, option, register

MIN_SIDE = 8  # pixels, below which an image is a few points
R3GAN_SIDE = 32  # pixels of the smallest images of its publication
MAX_CPU_SIDE = (
    32  # above it dcgan has half its channels on a CPU: then 64x64 takes as long as 32x32 with all of them
)


@register("model")
@dataclass
class Auto(Model):
    """Picks a model by the data and the device, with the keys that all share; never reaches ``config.json``."""

    name: str = option("auto", "registered name")
    z_dim: int | None = option(  # type: ignore[assignment]
        None, "dimension of the latent z; null for the picked model's default", minimum=1, maximum=65536
    )
    width: int | None = option(
        None, "width of the layers; null for the picked model's default", minimum=1, maximum=65536
    )
    d_width: int | None = option(None, "width of D; null is model.width", minimum=1, maximum=65536)

    def pick(self, spec: Spec, device: str = "cpu", is_smooth: bool = False) -> dict[str, Any]:
        """Return the keys of the model that suits this data: those set here, under its name.

        Args:
            spec: Of the data.
            device: Kind of the device that trains it.
            is_smooth: Whether D's gradients at data and at samples are penalised, without which networks that have no
                normalisation do not converge (Huang et al. 2024, tab. 1).
        """
        keys = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        side = min(spec.shape[1:]) if spec.is_image else 0
        if side < MIN_SIDE:
            return keys | {"name": "mlp"}
        published = {"width": 768} | keys | {"name": "r3gan"}
        is_large = device != "cpu" and side >= R3GAN_SIDE
        if is_large and is_smooth and not build("model", published).why_unsupported(spec):
            return published
        small = {"width": 16} if device == "cpu" and side > MAX_CPU_SIDE else {}
        return small | keys | {"name": "dcgan"}

    def generator(self, spec: Spec) -> Generator:
        return build("model", self.pick(spec)).generator(spec)

    def discriminator(self, spec: Spec) -> Discriminator:
        return build("model", self.pick(spec)).discriminator(spec)
