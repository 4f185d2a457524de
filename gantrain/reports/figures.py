"""Figures of several runs: their metrics, with every seed as a point, and their samples on one sheet."""

import io
import math
import statistics
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from gantrain.core.estimate import Estimate
from gantrain.core.figures import panels, render
from gantrain.reports.comparison.intervals import mean_interval
from gantrain.reports.frames import last_image, resize
from gantrain.reports.ranking import columns, direction_text, has_seeds, is_own_d, settings
from gantrain.reports.readings import floors
from gantrain.reports.runs import Row
from gantrain.reports.settings import Setting, group_by_data, keys_of
from gantrain.reports.varying import short_label, to_number

COLOURS = ("#3478c8", "#d9772e", "#2f9e6e", "#b8459a", "#7e64c9", "#a8861f", "#cf4a5e", "#3f9fb3")
DOTS = {"marker": "o", "linestyle": "", "markersize": 6, "markeredgewidth": 0}
PANELS = 3  # tags that are plotted
ACROSS = 4  # pictures in a row without seeds
MAX_SHEET_PIXELS = 2400  # width and height of the sheet of samples
NAME_INCHES = 3.0  # for the names of settings next to the panels
MAX_SETTINGS = 40  # that are plotted; the table has all


def encode_png(image: Image.Image | None) -> bytes | None:
    """Return an image as the bytes of a PNG, or None for none."""
    if image is None:
        return None
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def axis_key(found: Sequence[Row]) -> str | None:
    """Return the key with most numeric values, if the settings of the others fit in the colours.

    None if no two settings differ in that key alone, as in a random search: no line would join them.
    """
    best, most, groups = None, 1, settings(found)
    for key in keys_of(found):
        values = {row.varied.get(key, "") for row in found}
        lines = {tuple(v for k, v in s.varied.items() if k != key) for s in groups}
        is_axis = key != "seed" and all(to_number(value) is not None for value in values)
        if is_axis and len(values) > most and len(lines) <= min(len(COLOURS), len(groups) - 1):
            best, most = key, len(values)
    return best


def floor(found: Sequence[Row], tag: str) -> Estimate | None:
    """Return the mean floor of runs on the same data, with the spread of one such reading; None for none."""
    known = [own[tag] for row in found if tag in (own := floors(row.result)) and math.isfinite(own[tag])]
    spread = max((one.error for one in known if one.error is not None), default=None)
    return Estimate(statistics.fmean(known), spread) if known else None


def chart(
    found: Sequence[Row], tags: Sequence[str] = (), name_inches: float = NAME_INCHES
) -> Image.Image | None:
    """Return metrics, by default the first of the table, as panels: every seed as a point, means, and reference lines.

    A numeric key that varies is the axis; otherwise, and for several sets of data, settings are rows, those of one set
    of data together in the order of their means. None without a number.
    """
    tags = tags or columns(found, PANELS)[:PANELS]
    groups = [s for s in settings(found)[:MAX_SETTINGS] if any(s.values(tag) for tag in tags)]
    if not tags or not groups:
        return None
    rows = [row for s in groups for row in s.runs]
    key = axis_key(rows) if len(group_by_data(rows)) == 1 else None
    height = 4.2 if key else 1.5 + 0.3 * max(4, len(groups))
    figure, axes = panels(len(tags), 4.6 if key else 4.6 + name_inches / len(tags), height)
    for place, (axis, tag) in enumerate(zip(axes, tags, strict=True)):
        if key:
            _plot_along_key(axis, groups, tag, key)
        else:
            _plot_rows(axis, groups, tag, named=place == 0)
        _plot_floors(axis, groups, tag, along=key is not None)
        published = {row.published[tag] for row in rows if tag in row.published}
        if len(published) == 1:
            line = axis.axhline if key else axis.axvline
            line(published.pop(), color="#444444", linestyle=":", linewidth=1, label="published or exact")
        if axis.get_legend_handles_labels()[1]:
            axis.legend(fontsize=8, framealpha=0.6)
        title = "of each run's own D: not one scale" if is_own_d(found, tag) else direction_text(tag)
        axis.set_title(f"{tag}\n{title}", fontsize=10)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    return render(figure)


def _plot_floors(axis: Any, groups: Sequence[Setting], tag: str, along: bool) -> None:
    """Plot what real data read: for each set of data a line along the rows of its settings, or along the key's axis."""
    first, style = 0, {"color": "#888888", "linestyle": "--", "linewidth": 1}
    parts = group_by_data([row for setting in groups for row in setting.runs]).values()
    for number, rows in enumerate(parts):
        own = {id(row) for row in rows}
        end = first + sum(id(setting.runs[0]) in own for setting in groups)
        if (value := floor(rows, tag)) is not None:
            label = "real against real" if number == 0 else None
            line = axis.hlines if along else axis.vlines
            ends = axis.get_xlim() if along else (first - 0.45, end - 0.55)
            line(float(value), *ends, label=label, **style)
            if value.error and not along:
                axis.fill_betweenx(ends, value - value.error, value + value.error, color="#888888", alpha=0.2)
            elif value.error:
                axis.axhspan(value - value.error, value + value.error, color="#888888", alpha=0.2)
        first = end


def _plot_rows(axis: Any, groups: Sequence[Setting], tag: str, named: bool) -> None:
    """Plot a row for each setting: its seeds as points, its mean as a bar with the 95 % interval over seeds."""
    label: str | None = "95 % interval of the mean"
    for y, setting in enumerate(groups):
        values, mean = setting.values(tag), setting.mean(tag)
        if mean is not None:
            axis.plot(values, [y] * len(values), color=COLOURS[0], alpha=0.45, **DOTS)
            axis.plot([mean, mean], [y - 0.3, y + 0.3], color=COLOURS[0], linewidth=2.4)
            ends = [end for end in mean_interval(values) if end is not None]
            if ends and ends[0] < ends[1]:
                axis.plot(ends, [y, y], color=COLOURS[0], linewidth=1.2, label=label)
                label = None
    labels = [_cut(setting.label, 48) if named else "" for setting in groups]
    axis.set_yticks(range(len(groups)), labels, fontsize=9)
    axis.set_ylim(len(groups) - 0.4, -0.6)  # the best on top


def _plot_along_key(axis: Any, groups: Sequence[Setting], tag: str, key: str) -> None:
    """Plot a line through the means over a numeric key, for each setting of the other keys."""
    lines: dict[str, list[Setting]] = {}
    for setting in groups:
        others = {k: v for k, v in setting.varied.items() if k != key}
        lines.setdefault(short_label(others), []).append(setting)
    places = sorted({float(setting.varied[key]) for setting in groups})
    for colour, (label, line) in zip(COLOURS, lines.items(), strict=False):
        line.sort(key=lambda setting: float(setting.varied[key]))
        dots = [(float(s.varied[key]), value) for s in line for value in s.values(tag)]
        means = [(float(s.varied[key]), mean) for s in line if (mean := s.mean(tag)) is not None]
        if dots:
            axis.plot(*zip(*dots, strict=True), color=colour, alpha=0.4, **DOTS)
            axis.plot(
                *zip(*means, strict=True), "-", color=colour, linewidth=2, label=_cut(label, 30) or None
            )
    if places[0] > 0 and places[-1] / places[0] >= 10:
        axis.set_xscale("log")
        axis.tick_params(
            axis="x", which="minor", labelsize=7
        )  # within one power of ten these have labels too
    axis.set_xlabel(key)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def sample_sheet(found: Sequence[Row], side: int = 300) -> Image.Image | None:
    """Return the last picture of every run on one sheet, best first; None if no run has any.

    With seeds, settings are rows and seeds columns. The status of a run stands in place of a missing picture.
    """
    groups = settings(found)[:MAX_SETTINGS]
    seeds = sorted({row.varied.get("seed", "") for s in groups for row in s.runs}, key=lambda s: (len(s), s))
    table: list[list[Row | None]]
    if has_seeds(found) and seeds != [""]:
        by_seed = [{row.varied.get("seed", ""): row for row in reversed(s.runs)} for s in groups]
        table = [[own.get(seed) for seed in seeds] for own in by_seed]
    else:
        runs = [row for s in groups for row in s.runs]
        table = [[*runs[i : i + ACROSS]] for i in range(0, len(runs), ACROSS)]
    wide = max(map(len, table), default=1)
    side = max(96, min(side, MAX_SHEET_PIXELS // max(wide, len(table), 1)))
    shots = [[None if row is None else last_image(row.folder) for row in line] for line in table]
    images = [[resize(shot, side) if shot else None for shot in line] for line in shots]
    return _sheet(table, images) if any(image for line in images for image in line) else None


def _sheet(
    table: Sequence[Sequence[Row | None]], images: Sequence[Sequence[Image.Image | None]]
) -> Image.Image:
    """Return a sheet of labelled pictures, each cell as large as the largest of them."""
    head, gap = 22, 10  # pixels
    tall = max(shot.height for line in images for shot in line if shot)
    across = max(shot.width for line in images for shot in line if shot)
    cell, wide = (max(across, 96) + gap, tall + head + gap), max(map(len, table))
    sheet = Image.new("RGB", (wide * cell[0] + gap, len(table) * cell[1] + gap), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for j, line in enumerate(table):
        for i, row in enumerate(line):
            if row is None:
                continue
            x, y, shot = gap + i * cell[0], gap + j * cell[1], images[j][i]
            pen.text((x, y), _name(row, pen, font, cell[0] - gap), fill="black", font=font)
            if shot:
                sheet.paste(shot, (x, y + head))
            else:
                pen.rectangle((x, y + head, x + cell[0] - gap, y + head + tall), fill="#eeeeee")
            if not row.counts:
                pen.text((x + 6, y + head + 4), row.ending, fill="#b00020", font=font)
    return sheet


def _name(row: Row, pen: ImageDraw.ImageDraw, font: Any, width: int) -> str:
    text = row.label
    while len(text) > 4 and pen.textlength(text, font=font) > width:
        text = text[:-2] + "…"
    return text
