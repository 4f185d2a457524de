"""Which values of a tag are better, for rankings, searches and the best checkpoint of a run."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from gantrain.core.estimate import ERROR_SUFFIX

LOWER_IS_BETTER = ("divergence/", "diversity/mode_kl", "loss/", "transport/excess")
HIGHER_IS_BETTER = ("diversity/", "fidelity/", "logits/mismatched_auc")
# Real data are 1. Noise is above it in all of these, and a copy's distance below it.
ONE_IS_BEST = (
    "fidelity/sharpness",
    "fidelity/density",
    "fidelity/intra_density",
    "fidelity/nearest_distance",
    "diversity/per_condition_std",
    "diversity/spread",
)
UNRANKED = (
    ERROR_SUFFIX,
    "_margin",
    "_error",
    "_residual",
    "_sd",
)  # the uncertainty of a number ranks nothing
# Best where real data are, whose value differs from data to data
BETTER_LIKE_DATA = ("diversity/ms_ssim", "fidelity/leak")
OWN_D_COLUMNS = (
    "divergence/js",
    "divergence/game",
    "divergence/js_batch",
    "divergence/js_augmented",
    "logits/mismatched_auc",
    "divergence/js_gap",
)
OWN_D_SECTIONS = ("logits/", "loss/", "discriminator/")  # of tags: those of a run's own D and its game


class Direction(StrEnum):
    """Which values of a tag are better, in words."""

    LOWER = "lower is better"
    HIGHER = "higher is better"
    ONE = "1 is best"

    def cost(self, value: float) -> float:
        """Return a number that is lower for a better value."""
        return {Direction.LOWER: value, Direction.HIGHER: -value, Direction.ONE: abs(value - 1)}[self]


def direction(tag: str) -> Direction | None:
    """Return which values of a tag are better; None where no rule says so."""
    if tag.endswith(UNRANKED) or base(tag) in BETTER_LIKE_DATA:
        return None
    if base(tag) in ONE_IS_BEST:
        return Direction.ONE
    if tag.startswith(LOWER_IS_BETTER):
        return Direction.LOWER
    return Direction.HIGHER if tag.startswith(HIGHER_IS_BETTER) else None


def base(tag: str) -> str:
    """Return a tag without the name of the features that it was read from: ``divergence/frechet/inception``."""
    return "/".join(tag.split("/")[:2])


def is_of_own_d(tag: str, known: Collection[str] = OWN_D_COLUMNS) -> bool:
    """Return whether a tag is a number of a run's own D, which judges no generator; ``known`` are such tags."""
    return tag in known or tag.startswith(OWN_D_SECTIONS)
