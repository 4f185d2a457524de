"""No penalty."""

from dataclasses import dataclass

from gantrain.penalties.base import Constraint
from gantrain.registry import option, register


@register("penalty")
@dataclass
class NoPenalty(Constraint):
    """The null penalty: adds no cost and projects nothing."""

    name: str = option("none", "registered name")
