"""One HTML file that shows a run, or several side by side, in any browser; nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gantrain
from gantrain.core.run_folder import RunFolder
from gantrain.core.tags import MEANING
from gantrain.core.text import format_number, format_with_error
from gantrain.reports.curves import POINTS, Curve, charts, history, reference_lines, series
from gantrain.reports.figures import chart
from gantrain.reports.frames import as_data, drawn, evenly, fitted, opened, pictures
from gantrain.reports.markup import details, html_table, listed, player, section, slider
from gantrain.reports.ranking import COLUMNS, columns, keys_of, not_comparable, order_note, settings
from gantrain.reports.runs import Row, flat, given_words, numbers_in
from gantrain.reports.tables import failures, run_table, seed_table

BUDGET = 5_000_000  # characters of pictures in a page
SIZES = ((720, 60), (540, 60), (540, 30), (360, 24), (240, 12), (160, 2))  # pixels and frames, until they fit
SMALL = 300  # pixels of one run's picture among others
FIGURES = 12
READ = ("divergence/", "diversity/", "fidelity/")
SETTINGS = "Every seed of every setting as a point, with its mean"


def page(found: Sequence[Row], title: str, command: str) -> str:
    """Return the page of one run, or of several side by side, as HTML.

    Args:
        found: The runs; what varies among them is what they were named by.
        title: Its heading.
        command: What was typed.
    """
    body, data = _one(found[0]) if len(found) == 1 else _many(found)
    typed = f'<p class="command">{escape(command)}</p>'
    body += details("Commands", typed) if "\n" in command else typed
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    script = re.findall(r"<script>(.*?)</script>", template, re.S)[0]
    # Only this very script may run, whatever a name or a command says; the other parts are in the file.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "policy": f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        "title": escape(title),
        "version": escape(gantrain.__version__),
        "body": body,
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _one(row: Row) -> tuple[str, dict[str, Any]]:
    result, curves = row.result, history(row.folder)
    shots = frames([row.folder])[0]
    drawn_charts = charts(row, curves)
    main = [i for i, one in enumerate(drawn_charts) if one["main"]]
    ahead = [i for i in main if drawn_charts[i]["title"] == "divergence"]
    meaning = escape(str(result.get("meaning") or ""))
    game = [flat(row.config).get(key, "") for key in ("objective", "dataset", "model")]
    facts = [
        row.ended,
        *game,
        f"{result['step']:,} steps" if isinstance(result.get("step"), int) else "",
        f"{result['images']:,} images" if isinstance(result.get("images"), int) else "",
        f"{row.seconds:,.0f} s" if row.seconds else "",
        f"seed {row.config['seed']}" if "seed" in row.config else "",
    ]
    body = [
        f'<p class="facts">{" · ".join(escape(fact) for fact in facts if fact)}</p>',
        f'<p class="fault">{escape(row.error)}</p>' if row.error else "",
        f'<p class="meaning"><b>What is played.</b> {meaning}.</p>' if meaning else "",
        _health([row]),
        '<div class="pair">',
        f"<div>{player(f'Samples of {row.name}', shots)}{section('', _places(ahead))}</div>",
        section("Numbers at the end" if row.numbers else "Numbers so far", _numbers(row, curves)),
        "</div>",
        section("Curves", _places([i for i in main if i not in ahead])),
        section("Figures", _figures(row.folder)),
        details("More curves", _places([i for i in range(len(drawn_charts)) if i not in main])),
        details("Configuration", _config(row)),
        details("How the numbers are made", _nested(result.get("protocol"))),
        details("Versions", _nested(_environment(row.folder))),
    ]
    return "\n".join(body), {"charts": drawn_charts, "players": [shots]}


def _many(found: Sequence[Row]) -> tuple[str, dict[str, Any]]:
    best = [row for setting in settings(found) for row in setting.runs]
    curves = [history(row.folder) for row in best]
    shots = frames([row.folder for row in best])
    groups = {id(row): i for i, setting in enumerate(settings(found)) for row in setting.runs}
    names = [row.label for row in best]
    by_tag, most = {}, max(40, 6 * POINTS // len(found))
    points = {tag: len(steps) for one in curves for tag, (steps, _) in one.items() if not tag.endswith("_se")}
    for tag in sorted(
        points, key=lambda tag: (points[tag] < 2, _first_come(tag))
    ):  # a point alone is no curve
        lines = [
            series(name, one, tag, most) | {"group": groups[id(row)]}
            for row, name, one in zip(best, names, curves, strict=True)
            if tag in one
        ]
        by_tag[tag] = {"title": tag, "series": lines, "lines": reference_lines(best, [tag])}
    done = sum(row.counts for row in found)
    notes = [order_note(found), *not_comparable(found), *failures(found)]
    means = seed_table(found, worst=False)
    picture = chart(found)
    body = [
        f'<p class="facts">{done} of {len(found)} runs finished · '
        f"{sum(row.seconds for row in found):,.0f} s in all</p>",
        section(
            "Settings", (html_table(means) if means else "") + (_image(picture, SETTINGS) if picture else "")
        ),
        section("Runs", html_table(run_table(found), sortable=True, foot=_floors(found)) + listed(notes)),
        _health(best),
        section("Samples over training", side_by_side(best, names, shots)),
        section("Curves", f'<div class="chart" data-pick="{len(by_tag)}"></div>' if by_tag else ""),
        details("Configuration", _shared(found)),
        details("Versions", _nested(_environment(best[0].folder))),
    ]
    return "\n".join(body), {"tags": by_tag, "players": shots, "together": True}


def frames(runs: Sequence[Path], budget: int = BUDGET) -> list[list[tuple[int, str]]]:
    """Return the pictures of each run with their steps, thinned out and made small until a page can carry them.

    Args:
        runs: Their folders.
        budget: The number of characters that all pictures together may have.
    """
    for side, most in SIZES:
        most = most if len(runs) == 1 else max(2, min(most, 240 // len(runs)))
        made = _within(
            [evenly(drawn(run), most) for run in runs], side if len(runs) == 1 else min(side, SMALL), budget
        )
        if made is not None:
            return made
    return [[] for _ in runs]


def _within(
    found: Sequence[Sequence[tuple[int, Path]]], side: int, budget: int
) -> list[list[tuple[int, str]]] | None:
    made: list[list[tuple[int, str]]] = [[] for _ in found]
    for own, shots in zip(found, made, strict=True):
        for step, image in pictures(own):
            shots.append((step, as_data(fitted(image, side))))
            budget -= len(shots[-1][1])
            if budget < 0:
                return None
    return made


def side_by_side(
    found: Sequence[Row], names: Sequence[str], shots: Sequence[Sequence[tuple[int, str]]]
) -> str:
    """Return the pictures of several runs under one slider; nothing where no run has any."""
    if not any(shots):
        return ""
    cells = []
    for row, name, own in zip(found, names, shots, strict=True):
        what = f"Samples of {name}"
        image = (
            f'<img src="{own[-1][1]}" alt="{escape(what)}" data-what="{escape(what)}">'
            if own
            else "<i>no pictures</i>"
        )
        ended = "" if row.counts else f' <b class="bad">{escape(row.ended)}</b>'
        cells.append(f'<div class="cell"><p>{escape(name)}{ended}</p>{image}</div>')
    steps = sorted({step for own in shots for step, _ in own})
    seeds = max(len(setting.runs) for setting in settings(found))
    across = min(6, seeds * max(1, 4 // seeds))  # whole settings in a line
    grid = f'<div class="cells" style="--across:{across}">{"".join(cells)}</div>'
    return f'<figure class="player together">{grid}{slider(len(steps), steps[-1])}</figure>'


def _floors(found: Sequence[Row]) -> list[str]:
    known = {tag: v for row in found for tag, v in numbers_in(row.result.get("floors")).items()}
    cells = [format_number(known[tag]) if tag in known else "" for tag in columns(found)]
    return ["real", *([""] * len(keys_of(found))), *cells, "", ""] if any(cells) else []


def _numbers(row: Row, curves: Mapping[str, Curve]) -> str:
    last = {tag: values[-1] for tag, (_, values) in curves.items() if values and tag.startswith(READ)}
    known = row.numbers or {tag: value for tag, value in last.items() if value is not None}
    floors, lines = numbers_in(row.result.get("floors")), []
    for tag in sorted((tag for tag in known if not tag.endswith("_se")), key=_first_come):
        error = known.get(f"{tag}_se")
        value = format_with_error(known[tag], error)
        beside = [format_number(of[tag]) if tag in of else "" for of in (floors, row.published)]
        lines.append([f"{tag}\n{MEANING.get(tag, '')}", value, *beside])
    head = ["metric", "value", "real against real", "published"]
    kept = [i for i in range(4) if i < 2 or any(line[i] for line in lines)]
    return html_table([[line[i] for i in kept] for line in (head, *lines)]) if lines else ""


def _first_come(tag: str) -> tuple[int, str]:
    return (COLUMNS.index(tag) if tag in COLUMNS else len(COLUMNS), tag)


def _health(found: Sequence[Row]) -> str:
    lines = []
    for row in found:
        said = row.result.get("health")
        name = f"{row.label}: " if len(found) > 1 else ""
        lines += [name + str(line) for line in said] if isinstance(said, list) else []
    return section("Health", f'<div class="health">{listed(lines)}</div>') if lines else ""


def _places(which: Sequence[int]) -> str:
    places = [f'<div class="chart" data-chart="{i}"></div>' for i in which]
    return f'<div class="charts">{"".join(places)}</div>' if places else ""


def _figures(run: Path) -> str:
    files = RunFolder(run).figures[:FIGURES]
    images = [_image(image, path.stem.replace("_", " ")) for path in files if (image := opened(path))]
    return "".join(images)


def _image(image: Any, alt: str) -> str:
    source = as_data(fitted(image, min(1400, max(image.size))), 88)
    return f'<figure class="figure"><img src="{source}" alt="{escape(alt)}"></figure>'


def _config(row: Row) -> str:
    given = given_words(row.folder)
    lines = [
        [key, value, "set by hand" if key in given else ""] for key, value in flat(row.config, _whole).items()
    ]
    return html_table([["key", "value", ""], *lines]) if lines else ""


def _shared(found: Sequence[Row]) -> str:
    flats = [flat(row.config, _whole) for row in found if row.config]
    keys = dict.fromkeys(key for one in flats for key in one)
    values = {key: list(dict.fromkeys(one.get(key, "") for one in flats)) for key in keys}
    differing = [
        [key, " | ".join(v or "none" for v in some)] for key, some in values.items() if len(some) > 1
    ]
    same = [[key, some[0]] for key, some in values.items() if len(some) == 1]
    return html_table([["key", "value"], *differing, *same]) if same else ""


def _nested(found: Any) -> str:
    if not isinstance(found, Mapping) or not found:
        return ""
    lines = [[key, value] for key, value in flat(found, _whole).items()]
    return html_table([["key", "value"], *lines])


def _whole(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _environment(run: Path) -> Any:
    return RunFolder(run, strict=False).environment
