"""The words that make several runs which are played at once: ``train.replicas`` and ``sweep.replicas``."""

from collections.abc import Sequence

from gantrain.config.grammar import read_value
from gantrain.config.key_types import type_of_key
from gantrain.core.override import Override, values_by_key
from gantrain.errors import ConfigError

REPLICAS = "hydra.sweeper.replicas"  # where the sweeper reads what is typed as sweep.replicas


def with_seeds(words: Sequence[str]) -> list[str]:
    """Return overrides with ``train.replicas=N`` as what it stands for: N seeds from ``seed`` on, played at once.

    Raises:
        ConfigError: For a number or a seed from which they cannot be counted.
    """
    key, line = "train.replicas", values_by_key(words)
    if key not in line:
        return list(words)
    runs, seed = read_value(key, line[key], type_of_key(key)), line.get("seed", "0")
    if isinstance(runs, bool) or not isinstance(runs, int) or runs < 1:
        what = f"{line[key]!r} is not a number of runs"
        raise ConfigError(key, what, "give a whole number, 1 or more")
    if not seed.isdecimal():
        what = f"counts seeds from one on, and seed is {seed}"
        raise ConfigError(key, what, "give one seed, or list them: -m seed=3,5,8 sweep.replicas=always")
    if "optuna" in (line.get("sweep"), line.get("hydra/sweeper")):
        what = "is a sweep over seeds, and a search has no place for one"
        raise ConfigError(key, what, "leave one of them out")
    rest = [
        word
        for word in words
        if Override.parse(f"{word}=").key not in (key, *(("seed",) if runs > 1 else ()))
    ]
    if runs == 1:
        return rest
    return [*rest, f"seed=range({seed},{int(seed) + runs})", f"{REPLICAS}=always"]
