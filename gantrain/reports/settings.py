"""Settings: runs that differ in their seed alone, and the sets of data that they were trained on."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gantrain.reports.readings import mapping
from gantrain.reports.runs import Row
from gantrain.reports.varying import short_label


@dataclass(frozen=True)
class Setting:
    """Runs that differ in their seed alone, also failed ones, and their values of the keys that vary."""

    varied: Mapping[str, str]
    runs: Sequence[Row]

    @property
    def label(self) -> str:
        """Its values in short."""
        return short_label(self.varied) or (self.runs[0].name if len(self.runs) == 1 else "all runs")

    def read(self, tag: str) -> list[Row]:
        """Return the runs that finished and have a value of a tag."""
        return [row for row in self.runs if row.counts and tag in row.state]

    def values(self, tag: str) -> list[float]:
        """Return the value of every seed that finished and has one."""
        return [row.state[tag] for row in self.read(tag)]

    def mean(self, tag: str) -> float | None:
        """Return the mean over the seeds that finished; None without any."""
        values = self.values(tag)
        return statistics.fmean(values) if values else None


def keys_of(found: Sequence[Row]) -> list[str]:
    """Return the keys in which runs differ, the seed last."""
    keys = dict.fromkeys(key for row in found for key in row.varied)
    return sorted(keys, key=lambda key: key == "seed")


def seed_of(row: Row) -> str:
    """Return the seed of a run as text, "" if it is not known."""
    return row.varied.get("seed") or str(row.config.get("seed", ""))


def group_by_setting(found: Sequence[Row]) -> list[Setting]:
    """Return the settings of runs in the order of their first runs."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    keys = [key for key in keys_of(found) if key != "seed"]
    for row in found:
        # Without a key that varies, runs of one seed are still separate runs.
        own = () if keys or "seed" in row.varied else (row.name,)
        groups.setdefault((*(row.varied.get(key, "") for key in keys), *own), []).append(row)
    named = [({k: v for k, v in zip(keys, name, strict=False) if v}, runs) for name, runs in groups.items()]
    return [Setting(varied, runs) for varied, runs in named]


def group_by_data(found: Sequence[Row]) -> dict[str, list[Row]]:
    """Return runs by the name of the data that they were trained on, with the keys in which these differ."""
    texts = {id(row): _dataset_text(row.config) for row in found if row.config}
    known = dict.fromkeys(texts.values())
    if len(known) < 2:
        return {"": list(found)}
    groups: dict[str, list[Row]] = {text: [] for text in known}
    choices = {row.varied.get("dataset"): texts[id(row)] for row in found if id(row) in texts}
    for row in found:  # a job that never began is of the data that were typed for it
        groups[texts.get(id(row)) or choices.get(row.varied.get("dataset"), next(iter(known)))].append(row)
    names: dict[str, list[Row]] = {}
    for rows in groups.values():
        name = _data_name(rows[0])
        names[name if name not in names else f"{name}, {len(names) + 1}"] = rows
    return names


def _data_name(row: Row) -> str:
    own = {key: value for key, value in row.varied.items() if key.startswith("dataset.")}
    name = row.varied.get("dataset") or mapping(row.config.get("dataset")).get("name") or "data"
    return ", ".join(filter(None, [str(name), short_label(own)]))


def _dataset_text(config: Mapping[str, Any]) -> str:
    """Return the keys of the dataset as text that is equal for the same data in another folder."""
    data = {key: value for key, value in mapping(config.get("dataset")).items() if key != "root"}
    names = {k: v.rstrip("/").rsplit("/", 1)[-1] if isinstance(v, str) else v for k, v in data.items()}
    return repr(sorted(names.items()))
