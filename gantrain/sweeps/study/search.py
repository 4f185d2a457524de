"""The words of a study's file: override words, and those that a grid or a random search tries."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gantrain.core.override import Override
from gantrain.errors import ConfigError
from gantrain.sweeps.stored_words import is_harmless

MAX_TRIALS = 1000


def wrong(path: Path, key: str, what: str, remedy: str) -> ConfigError:
    """Return the error for a key of a study's file."""
    return ConfigError(f"{key} in {path}" if key else path, what, remedy)


def read_words(path: Path, where: str, found: Any) -> tuple[str, ...]:
    """Return a list of override words. Raises ConfigError for one that sets more than keys of a run."""
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise wrong(path, where, "is not a list of words", "write [objective=hinge, train.d_steps=2]")
    for word in found:
        if "=" not in word:
            raise wrong(path, where, f"{word!r} is not an override", "write key=value")
        key = Override.parse(word).key
        if key.partition(".")[0] in ("hydra", "run", "sweep", "seed") or not is_harmless(word, key):
            raise wrong(path, where, f"{word!r} is no word of a run's settings", "leave it out")
    return tuple(found)


def read_search(path: Path, where: str, found: Any) -> tuple[tuple[str, ...], ...]:
    """Return the lists of words of a grid, ``{grid: {key: [values]}}``, or of ``{random: {key: space}, trials: n}``.

    A space is a list of values, or ``{low, high, log}``. Settings with equal searches try the same values.
    """
    if found is None:
        return ((),)
    remedy = (
        "write search: {grid: {KEY: [A, B]}}, or {random: {KEY: {low: A, high: B, log: true}}, trials: N}"
    )
    kind = next((kind for kind in ("grid", "random") if isinstance(found, dict) and kind in found), "")
    spaces = found[kind] if kind else None
    if not isinstance(spaces, dict) or not spaces or found.keys() - {kind, "trials", "seed"}:
        raise wrong(path, f"{where}: search", "is neither a grid nor random", remedy)
    try:
        if kind == "grid":
            lists = [[f"{key}={value}" for value in values] for key, values in spaces.items() if values]
            tried = [list(words) for words in itertools.product(*lists)]
        else:
            tried = _draw(spaces, int(found["trials"]), int(found.get("seed", 0)))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise wrong(path, f"{where}: search", f"cannot be read ({error})", remedy) from error
    for words in tried:
        read_words(path, f"{where}: search", list(words))
    return tuple(tuple(words) for words in tried)


def _draw(spaces: Mapping[str, Any], trials: int, seed: int) -> list[list[str]]:
    """Return the words of so many trials, drawn at random. Raises ValueError, TypeError, KeyError."""
    import numpy

    if not 2 <= trials <= MAX_TRIALS:
        raise ValueError(f"{trials} trials; give 2 or more")
    rng, drawn = numpy.random.default_rng(seed), [list[str]() for _ in range(trials)]
    for key, space in spaces.items():
        for words, share in zip(drawn, rng.random(trials), strict=True):
            words.append(f"{key}={_value(space, float(share))}")
    return drawn


def _value(space: Any, share: float) -> str:
    """Return the value of a space at a share of its length in [0, 1)."""
    if isinstance(space, list):
        return str(space[int(share * len(space))])
    low, high = float(space["low"]), float(space["high"])
    if not low < high or (space.get("log") and low <= 0):
        raise ValueError(f"low {low:g} and high {high:g}")
    value = low * (high / low) ** share if space.get("log") else low + share * (high - low)
    return f"{value:.4g}"
