"""The end of a study: its verdict for the terminal, ``study.md`` and one HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from PIL.Image import Image

from gantrain.core.atomic import replace_file
from gantrain.core.estimate import Estimate
from gantrain.core.run_folder import DONE
from gantrain.core.sweep_folder import Plan, SweepFolder
from gantrain.core.text import count, format_interval, format_value, one_line
from gantrain.errors import GantrainError, writing
from gantrain.reports.best_of import best_trials, draw_best_of, tuned_rows
from gantrain.reports.comparison.intervals import interquartile_estimate, mean_estimate
from gantrain.reports.decisions import decision_table
from gantrain.reports.figures import encode_png
from gantrain.reports.html import render_page
from gantrain.reports.ranking import not_comparable, settings
from gantrain.reports.runs import Row, read_rows
from gantrain.reports.tables import failures, markdown_table, notes, seed_table
from gantrain.reports.verdict import verdict
from gantrain.sweeps.study.definition import Study, changes

PAGE, TEXT, FIGURE = "study.html", "study.md", "study.png"
KINDS = {TEXT: "verdict", PAGE: "page", FIGURE: "search"}  # of files, as printed
TUNED = (
    "numbers of a setting: in each seed, of the trial that is best over the other seeds, so that no seed takes part in "
    "the choice of what it judges"
)


def write_verdict(study: Study, sweep: SweepFolder, plan: Plan, typed: tuple[str, ...]) -> str:
    """Write ``study.md``, the page and the figure of a study's runs, and return its verdict for the terminal."""
    found = read_rows([sweep.run(job).path for job in plan.jobs])
    if not any(row.counts for row in found):
        return "no run of the study has finished, so there is no verdict"
    compared = tuned_rows(found, study.metric) if study.has_search else found
    image = draw_best_of(found, study.metric) if study.has_search else None
    lines = [*_reservations(study, found, typed), *verdict(compared)]
    page = _page(study, found, compared, lines, image)
    contents = {
        TEXT: _markdown(study, found, compared, lines, plan, image is not None),
        PAGE: render_page(found, study.name, plan.command, page),
        FIGURE: encode_png(image),
    }
    written = []
    for name, content in contents.items():
        try:
            with writing(sweep.path / name):
                if content is not None:
                    encoded = (
                        content.encode(errors="backslashreplace") if isinstance(content, str) else content
                    )
                    replace_file(sweep.path / name, encoded)
                    written.append(f"{KINDS[name]:9}  {sweep.path / name}")
        except GantrainError as error:
            written.append(str(error))
    head = one_line(f"{study.name}: {study.question}" if study.question else study.name)
    return "\n".join(["", head, *(f"  {one_line(line)}" for line in lines), "", *written])


def _reservations(study: Study, found: Sequence[Row], typed: tuple[str, ...]) -> list[str]:
    """Return what keeps the runs from being the study as it was laid down."""
    lines, changed = [], changes(study, typed)
    if changed:
        lines.append(f"not as laid down: {' '.join(changed)} was typed")
    if missing := sum(row.status not in DONE for row in found):
        lines.append(f"{missing} of {count(len(found), 'run')} did not finish, and count in no mean")
    return lines


def _averages(study: Study, compared: Sequence[Row]) -> list[list[str]]:
    """Return the mean and the interquartile mean of the metric over seeds, with their intervals."""
    lines = [["setting", "seeds", f"mean {study.metric}", "interquartile mean"]]
    for setting in settings(compared):
        values = setting.values(study.metric)
        if values:
            both = [mean_estimate(values), interquartile_estimate(values)]
            texts = [
                f"{format_value(one, one.error)} ({format_interval(one)})" if one.error else f"{one:.3g}"
                for one in both
            ]
            lines.append([setting.label, str(len(values)), *texts])
    return lines


def _average_text(average: Estimate) -> str:
    interval = format_interval(average)
    return f"{format_value(average, average.error)}{f' ({interval})' if interval else ''}"


def _costs(study: Study, found: Sequence[Row]) -> list[list[str]]:
    """Return what each setting cost: its runs, images, and seconds of processor time."""
    lines = [["setting", "runs", "finished", "images", "CPU seconds", "seconds"]]
    for name in study.settings:
        own = [row for row in found if row.varied.get("setting") == name]
        images, cpu = (sum(_number(row, key) for row in own) for key in ("images", "cpu_seconds"))
        done = sum(row.counts for row in own)
        seconds = sum(row.seconds for row in own)
        lines.append([name, f"{len(own)}", f"{done}", f"{images:,.0f}", f"{cpu:,.0f}", f"{seconds:,.0f}"])
    return lines


def _number(row: Row, key: str) -> float:
    value = row.result.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _markdown(
    study: Study,
    found: Sequence[Row],
    compared: Sequence[Row],
    lines: Sequence[str],
    plan: Plan,
    has_figure: bool,
) -> str:
    """Return ``study.md``."""
    parts = [f"# {study.name}", study.question, "## Verdict", _items(lines)]
    parts += [
        "## Settings",
        *map(markdown_table, filter(None, [seed_table(compared), _averages(study, compared)])),
    ]
    if table := decision_table(compared, all_pairs=True):
        parts += ["## Pairs", markdown_table(table)]
    parts.append(_items([*([TUNED] if study.has_search else []), *notes(compared), *not_comparable(found)]))
    if study.has_search:
        parts += ["## Search", markdown_table(best_trials(found, study.metric))]
        parts += [f"![expected best of k trials against the budget]({FIGURE})"] * has_figure
    parts += ["## Cost", markdown_table(_costs(study, found)), _items(failures(found))]
    parts += ["## As laid down", f"```yaml\n{study.text.rstrip()}\n```", f"```bash\n{plan.command}\n```"]
    return "\n\n".join(filter(None, parts)) + "\n"


def _page(
    study: Study, found: Sequence[Row], compared: Sequence[Row], lines: Sequence[str], image: Image | None
) -> dict[str, object]:
    """Return what stands above the tables of a study's page."""
    tables = [("Averages", _averages(study, compared)), ("Cost", _costs(study, found))]
    if study.has_search:
        tables[:0] = [
            ("Settings, tuned", seed_table(compared, worst=False)),
            ("Pairs, tuned", decision_table(compared, all_pairs=True)),
            ("Search", best_trials(found, study.metric)),
        ]
    return {"question": study.question, "lines": lines, "tables": tables, "image": image, "text": study.text}


def _items(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
