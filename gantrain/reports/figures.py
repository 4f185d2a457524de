"""Pictures of several runs at once: their numbers, every seed a point, and their samples in one grid."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from gantrain.core.figures import panels, render
from gantrain.reports.frames import last_image, resize
from gantrain.reports.ranking import Setting, columns, direction, has_seeds, keys_of, own_d_tags, settings
from gantrain.reports.runs import Row
from gantrain.reports.varying import short_label, to_number

COLOURS = ("#3478c8", "#d9772e", "#2f9e6e", "#b8459a", "#7e64c9", "#a8861f", "#cf4a5e", "#3f9fb3")
PANELS = 3  # tags that are drawn
ACROSS = 4  # pictures side by side where there are no seeds
MAX_SHEET_PIXELS = 2400  # pixels that the sheet of samples is wide or high at most
NAME_INCHES = 3.0  # inches for the names of settings next to the panels
MAX_SETTINGS = 40  # settings that are drawn; the table has all


def encode_png(image: Image.Image | None) -> bytes | None:
    """Return an image as the bytes of a PNG, or None for none."""
    if image is None:
        return None
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def axis_key(found: Sequence[Row]) -> str | None:
    """Return the key of most numeric values in which runs differ, next to at most 8 settings of the others.

    None where no two settings differ in that key alone, as in a random search: no line joins them.
    """
    best, most, groups = None, 1, settings(found)
    for key in keys_of(found):
        values = {row.varied.get(key, "") for row in found}
        rest = {tuple(v for k, v in s.varied.items() if k != key) for s in groups}
        numeric = all(to_number(value) is not None for value in values)
        if (
            key != "seed"
            and numeric
            and len(values) > most
            and len(rest) <= min(len(COLOURS), len(groups) - 1)
        ):
            best, most = key, len(values)
    return best


def floors(found: Sequence[Row], tag: str) -> dict[str, float]:
    """Return the lines by which a number is read: what real data measure, a published value.

    A floor is drawn as the mean over runs, each of which reads its own.
    """
    lines = {}
    read = [row.result.get("floors") for row in found]
    known = [f[tag] for f in read if isinstance(f, dict) and isinstance(f.get(tag), int | float)]
    if known:
        lines["real against real"] = sum(known) / len(known)
    published = {row.published[tag] for row in found if tag in row.published}
    if len(published) == 1:
        lines["published or exact"] = published.pop()
    return lines


def chart(found: Sequence[Row]) -> Image.Image | None:
    """Return the first numbers of the table as panels: every seed a point, means, and the lines to read them by.

    Settings are rows, best first; where a numeric key varies, it is the axis. None without a number.
    """
    tags = columns(found, PANELS)[:PANELS]
    shown = [s for s in settings(found)[:MAX_SETTINGS] if any(s.values(tag) for tag in tags)]
    if not tags or not shown:
        return None
    key = axis_key([row for s in shown for row in s.runs])
    height = 4.2 if key else 1.5 + 0.3 * max(4, len(shown))
    figure, axes = panels(len(tags), 4.6 if key else 4.6 + NAME_INCHES / len(tags), height)
    own = own_d_tags(found)
    for place, (axis, tag) in enumerate(zip(axes, tags, strict=True)):
        if key:
            _draw_along_key(axis, shown, tag, key)
        else:
            _draw_rows(axis, shown, tag, named=place == 0)
        for words, value in floors(found, tag).items():
            draw = axis.axhline if key else axis.axvline
            draw(value, color="#888888", linestyle="--", linewidth=1, label=words)
        if axis.get_legend_handles_labels()[1]:
            axis.legend(fontsize=8, framealpha=0.6)
        title = "of each run's own D: not one scale" if tag in own else direction(tag)
        axis.set_title(f"{tag}\n{title}", fontsize=10)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    return render(figure)


def _draw_rows(axis: Any, shown: Sequence[Setting], tag: str, named: bool) -> None:
    rows = range(len(shown))
    for y, setting in zip(rows, shown, strict=True):
        values, mean = setting.values(tag), setting.mean(tag)
        if mean is not None:
            axis.plot(
                values, [y] * len(values), "o", color=COLOURS[0], alpha=0.45, markersize=6, markeredgewidth=0
            )
            axis.plot([mean, mean], [y - 0.3, y + 0.3], color=COLOURS[0], linewidth=2.4)
    labels = [_cut(setting.label, 48) for setting in shown] if named else [""] * len(shown)
    axis.set_yticks(list(rows), labels, fontsize=9)
    axis.set_ylim(len(shown) - 0.4, -0.6)


def _draw_along_key(axis: Any, shown: Sequence[Setting], tag: str, key: str) -> None:
    lines: dict[str, list[Setting]] = {}
    for setting in shown:
        others = {k: v for k, v in setting.varied.items() if k != key}
        lines.setdefault(short_label(others), []).append(setting)
    places = sorted({float(setting.varied[key]) for setting in shown})
    for colour, (label, line) in zip(COLOURS, lines.items(), strict=False):
        line = sorted(line, key=lambda setting: float(setting.varied[key]))
        dots = [(float(s.varied[key]), value) for s in line for value in s.values(tag)]
        means = [(float(s.varied[key]), mean) for s in line if (mean := s.mean(tag)) is not None]
        if dots:
            axis.plot(*zip(*dots, strict=True), "o", color=colour, alpha=0.4, markersize=6, markeredgewidth=0)
            axis.plot(
                *zip(*means, strict=True), "-", color=colour, linewidth=2, label=_cut(label, 30) or None
            )
    if places[0] > 0 and places[-1] / places[0] >= 10:
        axis.set_xscale("log")
        axis.tick_params(axis="x", which="minor", labelsize=7)  # within one power of ten these have words too
    axis.set_xlabel(key)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def sample_sheet(found: Sequence[Row], side: int = 300) -> Image.Image | None:
    """Return the last picture of every run on one sheet, best first; None where no run has any.

    Settings are rows and seeds columns where there are seeds; a run without a picture has how it ended in its place.

    Args:
        found: The runs.
        side: Pixels of a picture, fewer where there are many.
    """
    groups = settings(found)[:MAX_SETTINGS]
    seeded = has_seeds(found)
    seeds = sorted({row.varied.get("seed", "") for s in groups for row in s.runs}, key=lambda s: (len(s), s))
    if seeded and seeds != [""]:
        table = [
            [next((r for r in s.runs if r.varied.get("seed", "") == seed), None) for seed in seeds]
            for s in groups
        ]
    else:
        runs: list[Row | None] = [row for s in groups for row in s.runs]
        table = [runs[i : i + ACROSS] for i in range(0, len(runs), ACROSS)]
    wide = max(map(len, table), default=1)
    side = max(96, min(side, MAX_SHEET_PIXELS // max(wide, len(table), 1)))
    shots = [[None if row is None else last_image(row.folder) for row in line] for line in table]
    if not any(shot for line in shots for shot in line):
        return None
    return _sheet(table, shots, side)


def _sheet(
    table: Sequence[Sequence[Row | None]], shots: Sequence[Sequence[Image.Image | None]], side: int
) -> Image.Image:
    head, gap = 22, 10
    small = [[resize(shot, side) if shot else None for shot in line] for line in shots]
    tall = max(shot.height for line in small for shot in line if shot)
    across = max(shot.width for line in small for shot in line if shot)
    cell, wide = (max(across, 96) + gap, tall + head + gap), max(map(len, table))
    sheet = Image.new("RGB", (wide * cell[0] + gap, len(table) * cell[1] + gap), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for j, line in enumerate(table):
        for i, row in enumerate(line):
            if row is None:
                continue
            x, y, shot = gap + i * cell[0], gap + j * cell[1], small[j][i]
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
