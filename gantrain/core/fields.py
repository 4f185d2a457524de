"""Declaration of a config key; imports neither Hydra nor torch."""

import dataclasses
from collections.abc import Iterator
from typing import Any


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """Declare a config key: a dataclass field with its meaning and its legal range.

    Args:
        default: The default value; a list or mapping is copied for each object.
        help: One sentence with the unit.
        minimum: Smallest legal number.
        maximum: Largest legal number.
        above: Exclusive lower bound.
        below: Exclusive upper bound.
        choices: The legal strings.
    """
    metadata = dict(help=help, minimum=minimum, maximum=maximum, above=above, below=below, choices=choices)
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def flat_fields(cls: Any, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Yield the keys of a dataclass with their fields; those of a nested dataclass are ``<key>.<its key>``."""
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(field.default_factory):
            yield from flat_fields(field.default_factory, f"{prefix}{field.name}.")
        elif field.metadata:
            yield prefix + field.name, field
