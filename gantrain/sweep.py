"""What a sweep found: one row a run, means over seeds, on the terminal and as files."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gantrain.summary import number

# What a table shows where no numbers in print say it, the first that runs have; a folder has all of it in its CSV.
COLUMNS = (
    "divergence/js_refit",
    "divergence/js_exact",
    "divergence/js",
    "divergence/js_gap",
    "divergence/game",
    "diversity/modes",
    "diversity/mode_kl",
    "fidelity/high_quality",
    "diversity/coverage",
    "fidelity/precision",
    "fidelity/class_accuracy",
    "fidelity/sharpness",
    "logits/mismatched_auc",
    "diversity/per_condition_std",
    "loss/g",
)
MOST = 7  # columns of numbers
LESS_IS_BETTER = ("divergence/", "diversity/mode_kl", "loss/")


@dataclass(frozen=True)
class Row:
    """One run of a sweep.

    Attributes:
        name: Its folder.
        varied: What was set for it on the command line, by key.
        status: ``finished``, ``failed``, ``diverged``, ``interrupted``, or ``missing`` without a result.
        numbers: Every metric by tag, and where there are published numbers the means of the last fifth of the run.
        published: Numbers in print by tag.
        seconds: What it took.
    """

    name: str
    varied: Mapping[str, str]
    status: str
    numbers: Mapping[str, float]
    published: Mapping[str, float]
    seconds: float


def rows(folders: Iterable[Path]) -> list[Row]:
    """Return a row for each run's folder, without the keys that all of them share."""
    found = []
    for folder in folders:
        words = yaml.safe_load(_text(folder / ".hydra" / "overrides.yaml") or "[]")
        varied = dict(word.lstrip("+").split("=", 1) for word in words)
        result: dict[str, Any] = json.loads(_text(folder / "result.json") or '{"status": "missing"}')
        published = result.get("published", {})
        numbers = result.get("metrics", {}) | {
            tag: value for tag, value in result.get("tail", {}).items() if tag in published
        }
        known = {tag: value for tag, value in numbers.items() if value is not None}
        found.append(Row(folder.name, varied, result["status"], known, published, result.get("seconds", 0.0)))
    shared = {
        key
        for row in found
        for key in row.varied
        if len(found) > 1 and all(other.varied.get(key) == row.varied[key] for other in found)
    }
    return [
        Row(
            row.name,
            {key: value for key, value in row.varied.items() if key not in shared},
            row.status,
            row.numbers,
            row.published,
            row.seconds,
        )
        for row in found
    ]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def columns(found: Sequence[Row]) -> list[str]:
    """Return the tags a table shows: those with numbers in print, else the first that any run has."""
    printed = list(dict.fromkeys(tag for row in found for tag in row.published))
    present = [tag for tag in COLUMNS if any(tag in row.numbers for row in found)]
    return printed or present[:MOST]


def run_table(found: Sequence[Row]) -> list[list[str]]:
    """Return one line a run: what varied, its numbers beside those in print, and its status where one failed."""
    keys, tags = _keys(found), columns(found)
    lines = [["run", *keys, *tags, "seconds", "status"]]
    for row in found:
        cells = [_cell(row, tag) for tag in tags]
        number = row.name.split("-")[0]
        lines.append(
            [number, *(row.varied.get(k, "") for k in keys), *cells, f"{row.seconds:.0f}", row.status]
        )
    return lines


def seed_table(found: Sequence[Row]) -> list[list[str]]:
    """Return mean and standard deviation over seeds for each setting, with the worst seed; nothing for one seed."""
    keys, tags = [key for key in _keys(found) if key != "seed"], columns(found)
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in found:
        groups.setdefault(tuple(row.varied.get(key, "") for key in keys), []).append(row)
    if all(len(group) < 2 for group in groups.values()):
        return []
    lines = [[*keys, "seeds", *(f"{tag} (worst seed)" for tag in tags)]]
    for setting, group in groups.items():
        cells = [_spread([row for row in group if tag in row.numbers], tag) for tag in tags]
        lines.append([*setting, f"{len(group)}", *cells])
    return lines


def _keys(found: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(key for row in found for key in row.varied))


def _cell(row: Row, tag: str) -> str:
    if tag not in row.numbers:
        return ""
    printed = f" ({number(row.published[tag])})" if tag in row.published else ""
    return f"{number(row.numbers[tag])}{printed}"


def _spread(group: Sequence[Row], tag: str) -> str:
    if not group:
        return ""
    values = [row.numbers[tag] for row in group]
    pick = max if tag.startswith(LESS_IS_BETTER) else min
    worst = pick(group, key=lambda row: row.numbers[tag])
    sd = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return (
        f"{statistics.fmean(values):.3f}{sd} ({worst.numbers[tag]:.3f}, seed {worst.varied.get('seed', '?')})"
    )


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return a table as text, its columns aligned."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(f"{c:{w}}" for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    rule = ["---"] * len(lines[0])
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def summarise(folder: Path, runs: Sequence[Path]) -> str:
    """Return a sweep's closing lines, and write them to ``summary.md`` and every number to ``summary.csv``.

    Raises:
        OSError: When the folder cannot be written.
    """
    found = rows(runs)
    tables = [table for table in (run_table(found), seed_table(found)) if table]
    (folder / "summary.md").write_text("\n\n".join(map(markdown, tables)) + "\n", encoding="utf-8")
    keys, tags = _keys(found), sorted({tag for row in found for tag in row.numbers})
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["run", *keys, *tags, "seconds", "status"])
    for row in found:
        numbers = [row.numbers.get(tag, "") for tag in tags]
        out.writerow([row.name, *(row.varied.get(k, "") for k in keys), *numbers, row.seconds, row.status])
    (folder / "summary.csv").write_text(text.getvalue(), encoding="utf-8")
    beside = "\nin brackets: published or exact numbers" if any(row.published for row in found) else ""
    shown = "\n\n".join(map(aligned, tables))
    return (
        f"\n{shown}{beside}\n\nsummary    {folder / 'summary.csv'}\ndashboard  gantrain tensorboard {folder}"
    )
