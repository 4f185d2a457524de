"""From two paths to two sets of samples of one shape."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gantrain.datasets.files.picture_set import common_shape, open_pictures
from gantrain.datasets.files.point_set import as_samples, holds_points, read_pair
from gantrain.datasets.files.sample_set import Samples
from gantrain.datasets.image_folder import ImageFolder
from gantrain.datasets.table import TableFile
from gantrain.errors import ConfigError
from gantrain.registry import parse


def open_sides(fake: str, real: str, keys: Mapping[str, Any]) -> tuple[Samples, Samples]:
    """Return the samples at two paths: pictures of one shape, or points in units of the real ones.

    Args:
        fake: A folder or an archive of pictures, a table, or a file of arrays.
        real: Another one of the same kind.
        keys: Keys of ``dataset=image_folder`` or of ``dataset=table``, without ``dataset.``.

    Raises:
        ConfigError: For the same path twice, two kinds, or keys of the other kind.
        DataError: For what cannot be read, or cannot be compared.
    """
    paths = [os.path.expanduser(path) for path in (fake, real)]
    if os.path.realpath(paths[0]) == os.path.realpath(paths[1]):
        what = "is FAKE and REAL"
        raise ConfigError(fake, what, "give two sets; real against real is a column of the table")
    are_points = [holds_points(path) for path in paths]
    if are_points[0] != are_points[1]:
        kinds = ["a table" if is_table else "no table" for is_table in are_points]
        raise ConfigError(fake, f"is {kinds[0]}, and {real} is {kinds[1]}", "give two sets of one kind")
    kind: Any = TableFile if are_points[0] else ImageFolder
    if others := keys.keys() - {field.name for field in fields(kind)}:
        what = f"is no key of {'points' if are_points[0] else 'pictures'}"
        raise ConfigError(f"dataset.{min(others)}", what, "leave it out")
    options = parse(kind, "dataset", dict(keys))
    if are_points[0]:
        of_fake, of_real = read_pair(paths[0], paths[1], options)
        return as_samples(of_fake, of_real), as_samples(of_real, of_real)
    sets = [open_pictures(path, options) for path in paths]
    shape = common_shape(sets, {key: keys[key] for key in ("resolution", "width", "channels") if key in keys})
    return sets[0].load(shape), sets[1].load(shape)
