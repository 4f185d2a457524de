"""Adaptive discriminator augmentation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import cast

import torch
from torch import Tensor

from gantrain.augment.base import Augmentation
from gantrain.augment.tools.affine import product, resample, rotation, scaling, translation
from gantrain.augment.tools.colour import brightening, contrasting, hue_rotation, recolour, saturating
from gantrain.core.memory import Memory
from gantrain.core.spec import Spec
from gantrain.errors import ConfigError
from gantrain.registry import option, register

# In the order in which they are composed
BLIT = ("flip", "quarter_turn", "shift")
GEOMETRY = ("scale", "rotation", "stretch", "second_rotation", "fractional_shift")
COLOUR = ("brightness", "contrast", "luma_flip", "hue", "saturation")
STEPS = (*BLIT, *GEOMETRY, *COLOUR)
# Those by Gaussian numbers; the others are by even ones.
NORMAL = ("scale", "stretch", "fractional_shift", "brightness", "contrast", "saturation")
# Largest shift by whole pixels, and standard deviations: of shares of the side, of brightness, of logarithms to base 2.
SHIFT, FRACTIONAL_SHIFT, BRIGHTNESS = 0.125, 0.125, 0.2
SCALE, STRETCH, CONTRAST, SATURATION = 0.2, 0.2, 0.5, 1.0

INTERVAL = 4  # updates of D between two moves of p
CLASSIFIER_P = 0.2  # at which nine images in ten change, most by few transformations


@dataclass(frozen=True)
class Choice:
    """Which of N images get a transformation, [N], and the random numbers that say how, [N, 2]."""

    is_due: Tensor
    numbers: Tensor

    def sign(self) -> Tensor:
        """Return -1 for half of those that are due, 1 for all others, [N]."""
        return torch.where(self.is_due & (self.numbers[:, 0] < 0.5), -1.0, 1.0)

    def normal(self, std: float) -> Tensor:
        """Return Gaussian numbers, 0 where it is not due, [N]."""
        return torch.where(self.is_due, std * self.numbers[:, 0], 0.0)

    def factor(self, std: float) -> Tensor:
        """Return factors whose logarithm to base 2 is Gaussian, 1 where it is not due, [N]."""
        return self.normal(std).exp2()

    def angle(self) -> Tensor:
        """Return angles of the whole circle, 0 where it is not due, [N]."""
        return torch.where(self.is_due, math.pi * (2 * self.numbers[:, 0] - 1), 0.0)


@register("augment")
@dataclass
class ADA(Augmentation):
    """Flips, turns, shifts, scales and colours, each with probability p, which follows D (Karras et al. 2020).

    r = E sign D(x) of data in four updates is near 1 where D has learnt them by heart: above the target p rises, below
    it p falls (eq. 1). Order and strengths are the published ones (app. B). Images are resampled once, bilinearly,
    without the paper's filters for twice the resolution, and are reflected at their borders.
    """

    name: str = option("ada", "registered name")
    groups: str = option(
        "bgc",
        "b flips, turns and shifts by pixels; g scales, rotates and shifts freely; c changes colours",
        choices=("b", "g", "c", "bg", "bc", "gc", "bgc"),
    )
    p: float = option(
        0.0, "probability of each transformation, at first if there is a target", minimum=0, maximum=1
    )
    p_end: float | None = option(
        None,
        "p at optimizer.horizon without a target, reached by train.ramp; null keeps it",
        minimum=0,
        maximum=1,
    )
    target: float | None = option(
        0.6, "mean sign of D's logits on data that p is moved to reach; null keeps p", minimum=-1, maximum=1
    )
    images: int = option(500_000, "images in which p may move from 0 to 1", minimum=1)

    def __post_init__(self) -> None:
        if self.p_end is not None and self.target is not None:
            what = "is where p ends, and augment.target moves p elsewhere"
            raise ConfigError("augment.p_end", what, "set augment.target=null or augment.p_end=null")

    @property
    def reads_signs(self) -> bool:  # type: ignore[override]
        return self.target is not None

    def why_unsupported(self, spec: Spec) -> str | None:
        return None if spec.is_image else "transforms images, and this data is not images"

    def for_classifier(self) -> ADA:
        return replace(self, p=CLASSIFIER_P, target=None)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        # A row a transformation: the p above which it is due, and how it is done. All are drawn for all groups.
        numbers = torch.rand(n, len(STEPS), 3, generator=generator)
        for step in ("rotation", "second_rotation"):  # of which either is due with probability p
            level = numbers[:, STEPS.index(step), 0]
            level.copy_(1 - (1 - level).square())
        if self.target is None:
            numbers[:, :, 0] -= self.p
        normal = torch.randn(n, len(NORMAL), 2, generator=generator)
        numbers[:, [STEPS.index(step) for step in NORMAL], 1:] = normal
        return numbers

    def __call__(self, x: Tensor, draw: Tensor, memory: Memory | None = None) -> Tensor:
        p = memory["p"] if memory else 0.0
        rows = zip(STEPS, draw.to(x.dtype).unbind(1), strict=True)
        choices = {step: Choice(row[:, 0] < p, row[:, 1:]) for step, row in rows}
        height, width = x.shape[2:]
        moves = blit(choices, height, width) if "b" in self.groups else []
        moves += geometry(choices, height, width) if "g" in self.groups else []
        x = resample(x, reduce(product, moves)) if moves else x
        return recolour(x, colours(choices)) if "c" in self.groups else x

    def initial_memory(self) -> Memory:
        if self.target is None:
            return {}
        return {"p": torch.tensor(self.p), "signs": torch.zeros(()), "updates": torch.zeros(())}

    def observe(self, memory: Memory, real_logits: Tensor, fake_logits: Tensor) -> Memory:
        if not memory:
            return memory
        return memory | {"signs": memory["signs"] + real_logits.sign().mean()}

    def advance(self, memory: Memory, images: int) -> Memory:
        if not memory:
            return memory
        updates, r = memory["updates"] + 1, memory["signs"] / INTERVAL
        is_due = updates == INTERVAL
        change = (r - cast(float, self.target)).sign() * (images * INTERVAL / self.images)
        return {
            "p": torch.where(is_due, (memory["p"] + change).clamp(0, 1), memory["p"]),
            "signs": torch.where(is_due, 0.0, memory["signs"]),
            "updates": torch.where(is_due, 0.0, updates),
        }

    def scalars(self, memory: Memory) -> dict[str, Tensor]:
        return {"schedule/augment_p": memory["p"]} if memory else {}


def blit(choices: Mapping[str, Choice], height: int, width: int) -> list[Tensor]:
    """Return moves that keep pixels whole, as maps from a position to that where its pixel comes from, [N, 3, 3].

    An image that is not square gets half turns in place of quarter turns.
    """
    mirrored = choices["flip"].sign()
    turn, shift = choices["quarter_turn"], choices["shift"]
    quarters = (4 * turn.numbers[:, 0]).floor() if height == width else 2 * (2 * turn.numbers[:, 0]).floor()
    quarters = torch.where(turn.is_due, quarters, 0.0)
    across, down = (
        torch.where(shift.is_due, (SHIFT * side * (2 * shift.numbers[:, i] - 1)).round(), 0.0)
        for i, side in enumerate((width, height))
    )
    # Rounded, sines and cosines of quarter turns are exact.
    turned = rotation(math.pi / 2 * quarters).round()
    return [scaling(mirrored, mirrored.abs()), turned, translation(-across, -down)]


def geometry(choices: Mapping[str, Choice], height: int, width: int) -> list[Tensor]:
    """Return moves between pixels, as maps from a position to that where its pixel comes from, [N, 3, 3]."""
    scale, stretch = 1 / choices["scale"].factor(SCALE), 1 / choices["stretch"].factor(STRETCH)
    fraction = choices["fractional_shift"]
    across, down = (
        torch.where(fraction.is_due, FRACTIONAL_SHIFT * side * fraction.numbers[:, i], 0.0)
        for i, side in enumerate((width, height))
    )
    return [
        scaling(scale, scale),
        rotation(choices["rotation"].angle()),
        scaling(stretch, 1 / stretch),
        rotation(choices["second_rotation"].angle()),
        translation(-across, -down),
    ]


def colours(choices: Mapping[str, Choice]) -> Tensor:
    """Return the maps of colours, homogeneous matrices [N, 4, 4]; the first transformation is their last factor."""
    contrast = choices["contrast"].factor(CONTRAST)
    sign = choices["luma_flip"].sign()
    maps = [
        brightening(choices["brightness"].normal(BRIGHTNESS)),
        contrasting(contrast),
        saturating(sign.abs(), grey=sign),
        hue_rotation(choices["hue"].angle()),
        saturating(choices["saturation"].factor(SATURATION)),
    ]
    return reduce(lambda earlier, later: product(later, earlier), maps)
