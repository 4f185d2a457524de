"""Supervised regression of data on their condition: the blurry baseline of conditional generation."""

from dataclasses import dataclass

from torch import Tensor, nn

from gantrain.objectives.base import Baseline
from gantrain.registry import key_property, option, register


@register("objective")
@dataclass
class Regression(Baseline):
    """G minimises the distance of G(z, y) to a sample x of its condition (Isola et al. 2017, sec. 3.1 and fig. 4).

    The best output for y is one picture, whatever z: the mean of all x with that condition for l2, their median, pixel
    by pixel, for l1. Where those differ, it is a blur.
    """

    name: str = option("regression", "registered name")
    norm: str = option("l2", "error of a pixel: squared (l2) or absolute (l1)", choices=("l1", "l2"))

    needs_condition = True

    @key_property
    def meaning(self) -> str:
        best = "mean" if self.norm == "l2" else "median"
        return f"there is no D; G descends to the {best} of all data of a condition, one picture for any z: a blur"

    def loss(self, G: nn.Module, real: Tensor, y: Tensor | None, latents: Tensor) -> Tensor:
        # E |G(z, y) - x| or E (G(z, y) - x)^2, averaged over samples and pixels
        error = G(latents, y).float() - real
        return error.abs().mean() if self.norm == "l1" else error.square().mean()
