"""One HTML file that shows a run, or compares several, in any browser; nothing is loaded from elsewhere."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

import gantrain
from gantrain.core.estimate import Estimate
from gantrain.core.history import omission
from gantrain.core.run_address import BEST
from gantrain.core.run_folder import RunFolder
from gantrain.core.tags import meaning
from gantrain.core.text import format_estimate, format_interval
from gantrain.reports.curves import MAX_POINTS, Curve, charts, read_curves, reference_lines, series
from gantrain.reports.decisions import decision_table
from gantrain.reports.end_table import best_text
from gantrain.reports.figures import PANELS, chart, floor
from gantrain.reports.frames import data_url, embed_frames, open_image, resize
from gantrain.reports.page_tables import config_table, nested_table, protocols, value_text, with_head
from gantrain.reports.ranking import columns, not_comparable, settings
from gantrain.reports.readings import INTERVAL, estimates, floors, order, sections, tail_estimates
from gantrain.reports.readings import notes as error_notes
from gantrain.reports.runs import Row, overrides_of
from gantrain.reports.settings import group_by_data, keys_of
from gantrain.reports.tables import failures, notes, run_table, seed_table
from gantrain.reports.tail import NOTE as TAIL_NOTE
from gantrain.reports.varying import flatten

MAX_FIGURES = 12  # of one run, at most
METRICS = ("divergence/", "diversity/", "fidelity/")  # tags that are metrics, also before the run's end
NOT_FINISHED = ("failed", "diverged", "killed", "missing", "unreadable", "interrupted")


def render_page(rows: Sequence[Row], title: str, command: str, study: Mapping[str, Any] | None = None) -> str:
    """Return the page of one run, or the comparison of several, as HTML.

    Args:
        rows: The runs.
        title: Of the page.
        command: What made them, one line or many.
        study: The question, sentences, tables, figure and file of a study, which stand first.
    """
    here = Path(__file__).parent
    style, script = (here.joinpath(f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    # Only this script may run, whatever a name or a command contains; the template adds the line break before it.
    digest = base64.b64encode(hashlib.sha256(f"\n{script}".encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    template, values = (
        ("run.html", _run_values(rows[0])) if len(rows) == 1 else ("runs.html", _runs_values(rows))
    )
    # The package's own style and script are markup; every other text is escaped.
    values |= {"style": Markup(style), "script": Markup(script), "policy": policy}
    values["study"] = study and {**study, "image": study["image"] and _figure(study["image"])}
    values |= {"title": title, "command": command, "version": gantrain.__version__}
    return _environment(here).get_template(template).render(values)


def _environment(folder: Path) -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(folder)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.filters |= {"breakable": _breakable, "cell_class": _cell_class}
    return environment


def _breakable(name: str) -> Markup:
    """Return a tag or key that may be broken after a slash or a dot."""
    return Markup(str(escape(name)).replace("/", "/<wbr>").replace(".", ".<wbr>"))


def _cell_class(text: str) -> Markup:
    kind = "number" if re.match(r"-?\d", text) else "bad" if text.startswith(NOT_FINISHED) else ""
    return Markup(f' class="{kind}"' if kind else "")


def _run_values(row: Row) -> dict[str, Any]:
    """Return what the page of one run is rendered from."""
    result, curves = row.result, read_curves(row.folder)
    numbers, number_notes = _numbers(row, curves)
    shots = embed_frames([row.folder])[0]
    content = charts(row, curves)
    # The divergence is next to the samples, then the other main charts; the rest is folded.
    main = [i for i, one in enumerate(content) if one["main"]]
    first = [i for i in main if content[i]["title"] == "divergence"]
    counts = [(result.get("step"), "steps"), (result.get("images"), "images")]
    best = best_text(result.get(BEST), row.folder)
    facts = [
        row.ending,
        *(flatten(row.config).get(key, "") for key in ("objective", "dataset", "model")),
        *(f"{count:,} {unit}" for count, unit in counts if isinstance(count, int)),
        f"{row.seconds:,.0f} s" if row.seconds else "",
        f"seed {row.config['seed']}" if "seed" in row.config else "",
        f"best: {best}" if best else "",
    ]
    files = RunFolder(row.folder).figures[:MAX_FIGURES]
    images = ((open_image(path), path.stem.replace("_", " ")) for path in files)
    overrides, values = overrides_of(row.folder), flatten(row.config, value_text)
    config = [[key, text, "set by hand" * (key in overrides)] for key, text in values.items()]
    return {
        "name": row.name,
        "facts": facts,
        "error": row.error,
        "meaning": str(result.get("meaning") or ""),
        "health": _health([row]),
        "frames": shots,
        "first_charts": first,
        "main_charts": [i for i in main if i not in first],
        "more_charts": [i for i in range(len(content)) if i not in main],
        "finished": bool(row.state),
        "numbers": numbers,
        "number_notes": number_notes,
        "figures": [(_figure(image), alt) for image, alt in images if image],
        "config": with_head(["key", "value", ""], config),
        "protocol": nested_table(protocols(result)),
        "versions": nested_table(RunFolder(row.folder, strict=False).environment),
        "data": {"charts": content, "players": [shots]},
    }


def _runs_values(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the page of several runs is rendered from."""
    groups = settings(rows)
    best = [row for setting in groups for row in setting.runs]
    shots = embed_frames([row.folder for row in best])
    cells = [
        (row.label, "" if row.counts else row.ending, own[-1][1] if own else "")
        for row, own in zip(best, shots, strict=True)
    ]
    seeds = max(len(setting.runs) for setting in groups)
    tags = columns(rows, PANELS)[:PANELS]
    panels = [(tag, image) for tag in tags if (image := chart(rows, [tag], name_inches=1.6)) is not None]
    finished, seconds = sum(row.counts for row in rows), sum(row.seconds for row in rows)
    return {
        "facts": [f"{finished} of {len(rows)} runs finished", f"{seconds:,.0f} s in all"],
        "parts": [_part_values(name, own) for name, own in group_by_data(rows).items()],
        "panels": [(tag, _figure(image)) for tag, image in panels],
        "notes": [*not_comparable(rows), *failures(rows)],
        "health": _health(best),
        "cells": cells,
        "across": min(6, seeds * max(1, 4 // seeds)),  # whole settings in a line
        "steps": sorted({step for own in shots for step, _ in own}),
        "config": config_table(rows),
        "versions": nested_table(RunFolder(best[0].folder, strict=False).environment),
        "data": {"tags": _curves_by_tag(best), "players": shots, "together": True},
    }


def _part_values(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the tables of runs on the same data, "" if all are."""
    return {
        "name": name,
        "means": seed_table(rows, worst=False),
        "decisions": decision_table(rows, all_pairs=True),
        "runs": run_table(rows),
        "floors": _floors(rows),
        "notes": notes(rows),
    }


def _curves_by_tag(best: Sequence[Row]) -> dict[str, Any]:
    """Return the curve of each run for each tag; the runs of a setting share a colour."""
    groups = {id(row): i for i, setting in enumerate(settings(best)) for row in setting.runs}
    curves = [read_curves(row.folder) for row in best]
    points = {tag: len(steps) for one in curves for tag, (steps, _) in one.items() if not tag.endswith("_se")}
    most, by_tag = max(40, 6 * MAX_POINTS // len(best)), {}  # points of a curve: the page holds them all
    for tag in sorted(points, key=lambda tag: (points[tag] < 2, order(tag))):  # one point is no curve
        lines = [
            series(row.label, one, tag, most) | {"group": groups[id(row)]}
            for row, one in zip(best, curves, strict=True)
            if tag in one
        ]
        by_tag[tag] = {"title": tag, "series": lines, "lines": reference_lines(best, [tag])}
    return by_tag


def _floors(rows: Sequence[Row]) -> list[str]:
    """Return the foot of the table of runs on the same data: what each metric is of real data against real data."""
    found = [floor(rows, tag) for tag in columns(rows)]
    cells = ["" if value is None else format_estimate(value) for value in found]
    return ["real", *([""] * len(keys_of(rows))), *cells, "", ""] if any(cells) else []


def _numbers(row: Row, curves: Mapping[str, Curve]) -> tuple[list[list[str]], list[str]]:
    """Return the table of a run's metrics, of an unfinished run those logged last, and its notes."""
    last = {tag: values[-1] for tag, (_, values) in curves.items() if values and tag.startswith(METRICS)}
    result = row.result if row.state else {"metrics": {tag: v for tag, v in last.items() if v is not None}}
    known, real, tails = estimates(result), floors(result), tail_estimates(row.result)
    lines = [["metric", "value", INTERVAL, "n", "mean of the last fifth", "real against real", "published"]]
    for title, tags in sections(result, {**known, **row.tail}).items():
        lines.append([title])
        for tag in tags:
            value, real_value = (_estimate_text(of[tag]) if tag in of else "" for of in (known, real))
            interval = format_interval(known[tag]) if tag in known else ""
            n = f"{known[tag].n:,}" if tag in known and known[tag].n else ""
            tail = format_estimate(tails[tag], is_short=True) if tag in row.tail else ""
            published = f"{row.published[tag]:g}" if tag in row.published else ""
            lines.append([f"{tag}\n{meaning(tag)}", value, interval, n, tail, real_value, published])
    kept = [i for i in range(7) if i < 2 or any(line[i] for line in lines[1:] if len(line) > 1)]
    table = [[line[i] for i in kept if i < len(line)] for line in lines]
    notes_of_table = error_notes(known.values(), real.values())
    if any(tails[tag].error is not None for tag in row.tail):
        notes_of_table.append(f"mean of the last fifth, {TAIL_NOTE}")
    return (table, notes_of_table) if table[1:] else ([], [])


def _estimate_text(estimate: Estimate) -> str:
    """Return an estimate, and its caveat in a second line, which a narrow column can break."""
    text = format_estimate(estimate, is_short=True)
    return f"{text}\n{estimate.caveat}" if estimate.caveat else text


def _health(rows: Sequence[Row]) -> list[str]:
    lines = []
    for row in rows:
        name = f"{row.label}: " if len(rows) > 1 else ""
        for key, words in (("health", ""), ("unchecked", "not checked: ")):
            found = row.result.get(key)
            lines += [f"{name}{words}{line}" for line in found if line] if isinstance(found, list) else []
        part = omission(RunFolder(row.folder).metrics_file)
        lines += [name + part] if part else []
    return lines


def _figure(image: Any) -> str:
    return data_url(resize(image, min(1400, max(image.size))), 88)
