"""A run's curves as charts: which tags share an axis, and the reference lines of each chart."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gantrain.core.run_folder import RunFolder
from gantrain.core.tags import JENSEN_SHANNON
from gantrain.reports.readings import finite_numbers
from gantrain.reports.runs import Row
from gantrain.reports.settings import group_by_data

MAX_POINTS = 400  # of a curve, at most
ONE_AXIS = JENSEN_SHANNON  # tags on one chart; the gap of two, near 0, would press both to its edge
LOG_2 = math.log(2)
FIRST = ("divergence", "loss", "logits", "diversity and fidelity", "diversity", "fidelity", "generator")

Curve = tuple[list[int], list[float | None]]


def read_curves(run: Path) -> dict[str, Curve]:
    """Return steps and values of every scalar of a run, by tag; None for one not finite. Raises CheckpointError."""
    curves: dict[str, Curve] = {}
    for row in RunFolder(run).history:
        finite = finite_numbers(row)
        for tag in row.keys() - {"step"}:
            steps, values = curves.setdefault(tag, ([], []))
            steps.append(row["step"])
            values.append(finite.get(tag))
    return curves


def thin(curve: Curve, most: int = MAX_POINTS) -> Curve:
    """Return a curve of about ``most`` points: its ends, and the minimum, maximum and first gap of each stretch."""
    steps, values = curve
    if len(steps) <= most:
        return curve
    stretch = math.ceil(2 * len(steps) / most)
    chosen = {0, len(steps) - 1}
    for start in range(0, len(steps), stretch):
        inside = range(start, min(start + stretch, len(steps)))
        finite = {i: value for i in inside if (value := values[i]) is not None}
        if finite:
            chosen |= {min(finite, key=finite.__getitem__), max(finite, key=finite.__getitem__)}
        chosen |= set([i for i in inside if i not in finite][:1])  # the line breaks there
    order = sorted(chosen)
    return [steps[i] for i in order], [values[i] for i in order]


def series(name: str, curves: Mapping[str, Curve], tag: str, most: int = MAX_POINTS) -> dict[str, Any]:
    """Return a curve in the form that report.js plots, with a band of one standard error if there is one."""
    steps, values = thin(curves[tag], most)
    curve: dict[str, Any] = {"name": name, "x": steps, "y": [_round(v) for v in values]}
    if f"{tag}_se" in curves:
        error = dict(zip(*curves[f"{tag}_se"], strict=True))
        curve["se"] = [_round(error.get(step)) for step in steps]
    return curve


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def reference_lines(rows: Sequence[Row], tags: Sequence[str]) -> list[dict[str, Any]]:
    """Return the lines of a chart of these tags on which all runs agree: log 2, chance, floors, published values."""
    lines: list[dict[str, Any]] = []
    if any(tag in JENSEN_SHANNON for tag in tags):
        lines.append({"y": LOG_2, "label": "log 2: no overlap"})  # the largest JSD, of disjoint supports
    chances = {f"{c:.3g}": c for row in rows if isinstance(c := row.result.get("chance"), float)}
    if "loss/d" in tags and len(chances) == 1:
        (chance,) = chances.values()
        lines.append({"y": chance, "label": "chance of loss/d"})
    by_data = group_by_data(rows)
    for tag, (data, own) in itertools.product(tags, by_data.items()):
        name = tag.split("/", 1)[-1]
        for part, label in {"floors": "real against real", "published": "published or exact"}.items():
            numbers = [finite_numbers(row.result.get(part)) for row in own]
            values = [one[tag] for one in numbers if tag in one]
            # The floors of two runs differ by the data that each sampled.
            if values and max(values) - min(values) <= 0.02 * max(map(abs, values)):
                text = ", ".join(filter(None, [label, data]))
                lines.append({"y": _round(sum(values) / len(values)), "label": text, "of": name})
    return lines


def charts(row: Row, curves: Mapping[str, Curve]) -> list[dict[str, Any]]:
    """Return the charts of a run, the main ones first, each with ``title``, ``series``, ``lines`` and ``main``."""
    groups: dict[str, list[str]] = {}
    for tag in sorted(curves):
        if not tag.endswith("_se") and any(value is not None for value in curves[tag][1]):
            groups.setdefault(_chart_of(tag, curves[tag]), []).append(tag)

    def place(title: str) -> tuple[int, str]:
        if title in FIRST:
            return FIRST.index(title), title
        # A tag alone on its chart comes after the chart that the others of its section share.
        return len(FIRST) if title.split("/")[0] in FIRST[:-1] else len(FIRST) + 1, title

    found = []
    for title in sorted(groups, key=place):
        tags = sorted(groups[title], key=lambda tag: (ONE_AXIS.index(tag) if tag in ONE_AXIS else 9, tag))
        lines = [series(tag.split("/", 1)[-1] if len(tags) > 1 else tag, curves, tag) for tag in tags]
        main = title in FIRST or title.split("/")[0] in FIRST
        found.append({"title": title, "series": lines, "lines": reference_lines([row], tags), "main": main})
    return found


def _chart_of(tag: str, curve: Curve) -> str:
    """Return the title of a tag's chart: only tags of one unit share an axis."""
    section = tag.split("/")[0]
    if section == "divergence":
        return section if tag in ONE_AXIS else tag
    if section in ("diversity", "fidelity"):
        share = all(value is None or 0 <= value <= 1.25 for value in curve[1])
        return "diversity and fidelity" if share and tag != "diversity/mode_kl" else tag
    if section == "logits":
        return tag if tag.split("/")[-1] in ("accuracy", "mismatched_auc", "fake_probability") else section
    return section
