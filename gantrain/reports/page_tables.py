"""The tables of a page that show nested data: configs, protocols, versions."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gantrain.reports.readings import mapping
from gantrain.reports.runs import Row
from gantrain.reports.varying import flatten


def config_table(rows: Sequence[Row]) -> list[list[str]]:
    """Return the table of all keys: first those in which the runs differ."""
    configs = [flatten(row.config, value_text) for row in rows if row.config]
    keys = dict.fromkeys(key for one in configs for key in one)
    values = {key: list(dict.fromkeys(one.get(key, "") for one in configs)) for key in keys}
    differing = [[key, " | ".join(v or "none" for v in some)] for key, some in values.items() if some[1:]]
    shared = [[key, some[0]] for key, some in values.items() if not some[1:]]
    return with_head(["key", "value"], [*differing, *shared])


def protocols(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the protocol of each metric, without the tags, which have a table of their own."""
    entries = {name: mapping(entry) for name, entry in mapping(result.get("protocol")).items()}
    return {
        name: {key: value for key, value in own.items() if key != "tags"} for name, own in entries.items()
    }


def nested_table(content: Any) -> list[list[str]]:
    """Return a table of the dotted keys of nested data with their values."""
    values = flatten(content, value_text) if isinstance(content, Mapping) else {}
    return with_head(["key", "value"], [[key, value] for key, value in values.items()])


def with_head(head: list[str], lines: list[list[str]]) -> list[list[str]]:
    """Return a table with its head; nothing for one without lines."""
    return [head, *lines] if lines else []


def value_text(value: Any) -> str:
    """Return a value as JSON, and text as it is."""
    return value if isinstance(value, str) else json.dumps(value)
