"""The sum of several penalties."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from keyword import iskeyword
from typing import Any

from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.errors import ConfigError
from gantrain.models.base import Model
from gantrain.penalties.base import Pass, Penalty
from gantrain.registry import REGISTERED, key_property, option, register


@register("penalty")
@dataclass
class Sum(Penalty):
    """Adds up the costs of its members, each with keys of its own: ``penalty.r1.gamma``."""

    name: str = option("sum", "registered name")

    @classmethod
    def with_keys(cls, plain: Mapping[str, Any]) -> type[Sum]:
        """Return this class with a field for each member in plain data. Raises ConfigError."""
        found: list[tuple[str, type]] = []
        for key, keys in plain.items():
            if key == "name":
                continue
            known = REGISTERED["penalty"]
            one = known.get(str(keys.get("name"))) if isinstance(keys, Mapping) else None
            # A key must not take the place of an attribute.
            is_free = key.isidentifier() and not iskeyword(key) and not hasattr(cls, key)
            if one is None or issubclass(one, Sum) or not is_free:
                what = "is not a penalty that can be added to others"
                raise ConfigError(
                    f"penalty.{key}", what, "write penalty=[CHOICE,CHOICE], as penalty=[r1,lecam]"
                )
            found.append((key, one))
        return _with_members(cls, tuple(found))

    def members(self) -> dict[str, Penalty]:
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "name"}

    @key_property
    def active(self) -> bool:
        return any(one.active for one in self.members().values())

    @key_property
    def needs(self) -> frozenset[str]:
        return frozenset().union(*(one.needs for one in self.members().values()))

    @key_property
    def needs_own_slopes(self) -> bool:
        return any(one.needs_own_slopes for one in self.members().values())

    @key_property
    def averages_samples(self) -> bool:
        return all(one.averages_samples for one in self.members().values())

    def resolve(self, spec: Spec, batch_size: int) -> dict[str, float]:
        return {
            f"{name}.{key}": number
            for name, one in self.members().items()
            for key, number in one.resolve(spec, batch_size).items()
        }

    def misfits(self, model: Model, spec: Spec) -> Iterator[tuple[str, str, str]]:
        for one in self.members().values():
            yield from one.misfits(model, spec)

    def weight(self, step: int) -> float | None:
        """Return 1 where the cost of a member is due: each has a weight of its own."""
        is_due = any(one.weight(step) is not None for one in self.members().values())
        return 1.0 if is_due else None

    def __call__(self, seen: Pass) -> Tensor:
        raise TypeError("the members of a sum are called one by one")

    def project(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        for one in self.members().values():
            weights = one.project(weights)
        return weights


@functools.cache  # so that equal sums are of one class
def _with_members(cls: type[Sum], members: tuple[tuple[str, type], ...]) -> type[Sum]:
    """Return a subclass with a field for each member, of its class."""
    found = [(key, one, field(default_factory=one)) for key, one in members]
    return make_dataclass("Sum", found, bases=(cls,), namespace={"__module__": cls.__module__})
