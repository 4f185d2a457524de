"""No penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gantrain.penalties.base import Penalty
from gantrain.registry import option, register


@register("penalty")
@dataclass
class NoPenalty(Penalty):
    """The null penalty: adds no cost."""

    name: str = option("none", "registered name")
    active: ClassVar[bool] = False
