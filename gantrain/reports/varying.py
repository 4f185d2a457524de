"""The keys that vary among runs: those set by hand, and others whose differences these do not explain."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Keys that are no setting: the sweep, where and how often a run writes, its machine, what is measured.
NO_SETTING = re.compile(
    r"(name|sweep|(run|hydra|metric|device)\b.*|dataset\.root|train\.\w+_every|train\.keep_\w+|optimizer\.horizon)$"
)
ORDER = ("objective", "penalty", "model", "dataset", "noise", "optimizer", "train")
MAX_KEYS = 6  # keys that have a column in addition to those set by hand


def varying_values(
    overrides: Sequence[Mapping[str, str]], configs: Sequence[Mapping[str, Any]], same_sweep: bool = True
) -> list[dict[str, str]]:
    """Return for each run the keys in which runs differ, with its values.

    Args:
        overrides: The values typed for each run, by key.
        configs: Resolved configs, which have the value of a key that was typed for another run only.
        same_sweep: Whether every key that varies is a setting; otherwise machines and folders are none.
    """
    flats = [flatten(config) for config in configs]
    known = [i for i in range(len(flats)) if flats[i] or overrides[i]]

    def value(i: int, key: str) -> str:
        override = value_text(overrides[i][key]) if key in overrides[i] else ""
        resolved = flats[i].get(key, "")
        # The name of a choice says more than its class, which several share; any other value is best resolved.
        is_choice = "." not in key and key != "seed" and override not in ("", "auto")
        return override if is_choice else resolved or override

    def differs(key: str) -> bool:
        # A run that left no config has only the values that were typed for it.
        return len({value(i, key) for i in known if flats[i] or key in overrides[i]}) > 1

    typed = dict.fromkeys(key for one in overrides for key in one if not key.startswith(("run.", "hydra")))
    chosen = [key for key in typed if differs(key) and (same_sweep or not NO_SETTING.match(key))]

    def is_explained(key: str) -> bool:
        # Runs that agree in what is chosen, whatever their seeds, agree in this key too.
        values: dict[tuple[str, ...], set[str]] = {}
        for i in known:
            if flats[i]:
                setting = tuple(value(i, other) for other in chosen if other != "seed")
                values.setdefault(setting, set()).add(value(i, key))
        return all(len(own) == 1 for own in values.values())

    most = len(chosen) + MAX_KEYS
    rest = {key for one in flats for key in one if not NO_SETTING.match(key)} - set(chosen) - {"seed"}
    for key in sorted(rest, key=_place):
        if len(chosen) < most and not is_explained(key):
            chosen.append(key)
    if "seed" not in chosen and differs("seed"):
        chosen.append("seed")
    settings = [{key: value(i, key) for key in chosen} for i in range(len(flats))]
    return [{key: text for key, text in setting.items() if text} for setting in settings]


def _place(key: str) -> tuple[int, bool, str]:
    group = key.partition(".")[0]
    return ORDER.index(group) if group in ORDER else -1, "." in key, key


def flatten(config: Mapping[str, Any], text: Callable[[Any], str] | None = None) -> dict[str, str]:
    """Return a config as dotted keys and values as text; a group itself has the name of its choice."""
    text = text or value_text
    values = {}
    for key, value in config.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        for name, item in inner:
            values[f"{key}.{name}" if name not in ("", "name") else key] = text(item)
    return values


def value_text(value: Any) -> str:
    """Return a value as text that does not depend on how it was typed: 1e-4 is 0.0001, a path its last part."""
    number = to_number(value)
    if number is not None:
        if isinstance(value, int):
            return str(value)
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(value, str):
        return value.rstrip("/").rpartition("/")[2]
    return json.dumps(value)


def to_number(value: Any) -> float | None:
    """Return a number, or a text that means one, as a finite float; None for anything else."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def short_label(setting: Mapping[str, str]) -> str:
    """Return values in one line: the choice of a group alone, any other after the last word of its key."""
    words = {key: "" if "." not in key and key != "seed" else f"{key.rpartition('.')[2]} " for key in setting}
    return ", ".join(words[key] + value for key, value in setting.items())
