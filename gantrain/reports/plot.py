"""A run's curves as a picture, and the picture of a run that goes on: its newest samples and its main curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gantrain.core.figures import panels, render
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError
from gantrain.reports.curves import charts, read_curves
from gantrain.reports.figures import COLOURS
from gantrain.reports.frames import last_image, resize
from gantrain.reports.runs import read_rows

MAIN = ("divergence", "loss")  # the sections that are drawn where no tag is named, one chart of each
LIVE_PIXELS = 400  # of the longer side of the samples in a notebook's cell


def plot_curves(run: Path, tags: Sequence[str] = ()) -> Image.Image:
    """Return curves over steps, each with a band of one standard error where it has one, and with reference lines.

    Args:
        run: The run's folder.
        tags: What to draw; tags of one unit share an axis. Without any, the main divergence and the losses.

    Raises:
        ConfigError: For a tag that the run has not logged.
    """
    curves = read_curves(run)
    if unknown := [tag for tag in tags if tag not in curves]:
        raise ConfigError(unknown[0], f"is no tag that {run.name} has logged", suggest(unknown[0], curves))
    named = {name for tag in tags for name in (tag, f"{tag}_se")} if tags else set(curves)
    found = charts(read_rows([run])[0], {tag: curve for tag, curve in curves.items() if tag in named})
    if not tags:
        first = (next((one for one in found if one["title"].startswith(section)), None) for section in MAIN)
        found = [one for one in first if one]
    figure, axes = panels(max(1, len(found)), 4.6, 3.6)
    for axis, chart in zip(axes, found, strict=False):  # a run that has logged nothing has one empty panel
        _draw(axis, chart)
    return render(figure)


def _draw(axis: Any, chart: Mapping[str, Any]) -> None:
    for colour, curve in zip(COLOURS * len(chart["series"]), chart["series"], strict=False):
        x, y = (np.array(curve[key], dtype=float) for key in ("x", "y"))  # None becomes a gap
        axis.plot(x, y, color=colour, linewidth=1.4, label=curve["name"])
        if "se" in curve:
            error = np.array(curve["se"], dtype=float)
            axis.fill_between(x, y - error, y + error, color=colour, alpha=0.2, linewidth=0)
    for line in chart["lines"]:
        axis.axhline(line["y"], color="#888888", linestyle="--", linewidth=1, label=line["label"])
    axis.set(title=chart["title"], xlabel="step")
    if len(axis.get_lines()) > 1:
        axis.legend(fontsize=8, framealpha=0.6)


def live_picture(run: Path) -> Image.Image:
    """Return the newest samples of a run, where it draws any, beside its main curves."""
    curves, samples = plot_curves(run), last_image(run)
    if samples is None:
        return curves
    samples = resize(samples, LIVE_PIXELS)
    height = max(curves.height, samples.height)
    sheet = Image.new("RGB", (samples.width + curves.width, height), "white")
    sheet.paste(samples, (0, (height - samples.height) // 2))
    sheet.paste(curves, (samples.width, (height - curves.height) // 2))
    return sheet
