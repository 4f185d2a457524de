"""A run's curves as charts: what shares an axis, and the lines by which a curve is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gantrain.core.run_folder import RunFolder
from gantrain.core.tags import JENSEN_SHANNON
from gantrain.reports.runs import Row, finite_numbers

MAX_POINTS = 400  # of a curve, at most
ONE_AXIS = (*JENSEN_SHANNON, "divergence/js_gap")  # which share an axis
LOG_2 = math.log(2)
FIRST = ("divergence", "loss", "logits", "diversity and fidelity", "diversity", "fidelity", "generator")

Curve = tuple[list[int], list[float | None]]


def read_curves(run: Path) -> dict[str, Curve]:
    """Return steps and values of every scalar that a run wrote, by tag; None where a number was not finite.

    Raises:
        CheckpointError: When the file cannot be read.
    """
    found: dict[str, Curve] = {}
    for row in RunFolder(run).history:
        step, finite = row["step"], finite_numbers(row)
        for tag in row.keys() - {"step"}:
            steps, values = found.setdefault(tag, ([], []))
            steps.append(step)
            values.append(finite.get(tag))
    return found


def thin(curve: Curve, most: int = MAX_POINTS) -> Curve:
    """Return a curve with at most about so many points: its ends, and the least and largest of each stretch."""
    steps, values = curve
    if len(steps) <= most:
        return curve

    def height(i: int) -> float:
        return values[i] or 0.0

    stretch = math.ceil(2 * len(steps) / most)
    kept = {0, len(steps) - 1}
    for start in range(0, len(steps), stretch):
        inside = range(start, min(start + stretch, len(steps)))
        real = [i for i in inside if values[i] is not None]
        gap = [i for i in inside if values[i] is None][:1]
        if real:
            kept |= {min(real, key=height), max(real, key=height)}
        kept |= set(gap)
    order = sorted(kept)
    return [steps[i] for i in order], [values[i] for i in order]


def series(name: str, curves: Mapping[str, Curve], tag: str, most: int = MAX_POINTS) -> dict[str, Any]:
    """Return a curve as the page draws it, with a band of one standard error where the run read one."""
    steps, values = thin(curves[tag], most)
    curve: dict[str, Any] = {"name": name, "x": steps, "y": [_round(v) for v in values]}
    if f"{tag}_se" in curves:
        error = dict(zip(*curves[f"{tag}_se"], strict=True))
        curve["se"] = [_round(error.get(step)) for step in steps]
    return curve


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def reference_lines(found: Sequence[Row], tags: Sequence[str]) -> list[dict[str, Any]]:
    """Return the lines of a chart of these tags: log 2, chance, what real data measure, published values.

    A line is drawn when all runs agree on it, to three digits.
    """
    lines: list[dict[str, Any]] = []
    labelled: set[str] = set()
    if any(tag in JENSEN_SHANNON for tag in tags):
        lines.append({"y": LOG_2, "label": "log 2: no overlap"})
    chances = {f"{c:.3g}": c for row in found if isinstance(c := row.result.get("chance"), float)}
    if "loss/d" in tags and len(chances) == 1:
        lines.append({"y": next(iter(chances.values())), "label": f"chance of loss/d {next(iter(chances))}"})
    for tag in tags:
        name = tag.split("/", 1)[-1]
        for part, words in {"floors": "real against real", "published": "published or exact"}.items():
            values = [finite_numbers(row.result.get(part)).get(tag) for row in found]
            read = [value for value in values if value is not None]
            if read and max(read) - min(read) <= 0.02 * max(map(abs, read)):
                label = "" if words in labelled else words  # once, for lines in the colours of their curves
                lines.append({"y": _round(sum(read) / len(read)), "label": label, "of": name})
                labelled.add(words)
    return lines


def charts(row: Row, curves: Mapping[str, Curve]) -> list[dict[str, Any]]:
    """Return the charts of a run, what matters first: ``title``, ``series``, ``lines``, and whether it is ``main``."""
    groups: dict[str, list[str]] = {}
    for tag in sorted(curves):
        if not tag.endswith("_se") and any(value is not None for value in curves[tag][1]):
            groups.setdefault(_chart_of(tag, curves[tag]), []).append(tag)

    def place(title: str) -> tuple[int, str]:
        if title in FIRST:
            return FIRST.index(title), title
        # A tag with a chart of its own comes after the charts of its section's others.
        return len(FIRST) if title.split("/")[0] in FIRST[:-1] else len(FIRST) + 1, title

    found = []
    for title in sorted(groups, key=place):
        tags = sorted(groups[title], key=lambda tag: (ONE_AXIS.index(tag) if tag in ONE_AXIS else 9, tag))
        lines = [series(tag.split("/", 1)[-1] if len(tags) > 1 else tag, curves, tag) for tag in tags]
        main = title in FIRST or title.split("/")[0] in FIRST
        found.append({"title": title, "series": lines, "lines": reference_lines([row], tags), "main": main})
    return found


def _chart_of(tag: str, curve: Curve) -> str:
    """Return the chart on which a tag is drawn: only what has one unit shares an axis."""
    section = tag.split("/")[0]
    if section == "divergence":
        return section if tag in ONE_AXIS else tag
    if section in ("diversity", "fidelity"):
        share = all(value is None or 0 <= value <= 1.25 for value in curve[1])
        return "diversity and fidelity" if share and tag != "diversity/mode_kl" else tag
    if section == "logits":
        return tag if tag.split("/")[-1] in ("accuracy", "mismatched_auc", "fake_probability") else section
    return section
