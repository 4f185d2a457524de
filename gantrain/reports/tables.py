"""The tables of several runs: settings over their seeds, single runs, and every number as CSV."""

import statistics
from collections.abc import Sequence
from typing import Any

from gantrain.core.run_folder import DONE
from gantrain.core.text import format_interval, format_number, format_value
from gantrain.reports.comparison.intervals import BOOTSTRAP_SEEDS, MIN_SEEDS, mean_estimate
from gantrain.reports.decisions import NOTE as DECISION_NOTE
from gantrain.reports.decisions import groups_of_runs
from gantrain.reports.ranking import best_first, columns, comparison, cost, has_seeds, order_note, settings
from gantrain.reports.readings import estimates
from gantrain.reports.runs import Row
from gantrain.reports.settings import Setting, group_by_setting, keys_of
from gantrain.reports.varying import to_number
from gantrain.reports.verdict import verdict

INTERVAL_NOTE = (
    "after a mean over seeds: its 95 % interval, by Student's t, and by a bootstrap over seeds from "
    f"{BOOTSTRAP_SEEDS} on; two seeds have none"
)
TAIL_NOTE = "numbers: means over the evaluations in the last fifth of training"
BRACKETS_NOTE = "in brackets: published or exact numbers"


def run_table(found: Sequence[Row]) -> list[list[str]]:
    """Return one line per run: what varied, its metrics next to published values, and its status."""
    keys, tags = keys_of(found), columns(found)
    names = _short_names([row.name for row in found])
    lines = [["run", *keys, *tags, "seconds", "status"]]
    for row in best_first(found):
        cells = [*(row.varied.get(key, "") for key in keys), *(_cell(row, tag) for tag in tags)]
        lines.append([names[row.name], *cells, f"{row.seconds:.0f}", row.ending])
    return lines


def seed_table(found: Sequence[Row], worst: bool = True) -> list[list[str]]:
    """Return each setting's number of seeds, letters, places and means over seeds; nothing without several seeds.

    With ``worst`` the standard deviation over seeds and the worst seed follow every mean and its interval, in brackets.
    """
    if not has_seeds(found):
        return []
    keys, tags = [key for key in keys_of(found) if key != "seed"], columns(found)
    failed, decided = any(not row.counts for row in found), comparison(found)
    head = [f"{tag} (sd; worst seed)" if worst else tag for tag in tags]
    group_head = ["group", "place"] if decided else []
    lines = [[*keys, "seeds", *group_head, *head, *["not finished"] * failed]]
    for i, setting in enumerate(settings(found)):
        ends = [f"seed {row.varied.get('seed', '?')} {row.ending}" for row in setting.runs if not row.counts]
        total, done = len(setting.runs), len(setting.runs) - len(ends)
        count = f"{done} of {total}" if ends else f"{done}"
        group = [decided.groups[i], decided.places[i]] if decided else []
        cells = [*(setting.varied.get(key, "") for key in keys), count, *group]
        lines.append([*cells, *(_spread(setting, tag, worst) for tag in tags), *[", ".join(ends)] * failed])
    return lines


def failures(found: Sequence[Row]) -> list[str]:
    """Return name, status and error of each run that did not finish; a pruned run is no failure."""
    failed = [row for row in found if row.status not in DONE]
    return [": ".join(filter(None, (row.name, row.ending, " ".join(row.error.split())))) for row in failed]


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Return the numbers that the names of a sweep's jobs begin with, if all differ; else the names."""
    numbers = [name.split("-")[0] for name in names]
    alone = all(number.isdigit() for number in numbers) and len(set(numbers)) == len(names)
    return dict(zip(names, numbers if alone else names, strict=True))


def _cell(row: Row, tag: str) -> str:
    if tag not in row.state:
        return ""
    known = estimates(row.result).get(tag)
    error = None if known is None or known.error is None else max(known.error, 1e-3 * abs(row.state[tag]))
    value = format_value(row.state[tag], error)
    return f"{value} ({row.published[tag]:g})" if tag in row.published else value


def _spread(setting: Setting, tag: str, worst: bool) -> str:
    """Return a mean over seeds with its 95 % interval; of two seeds, which have none, both values."""
    values = setting.values(tag)
    if not values:
        return ""
    low, high = min(values), max(values)
    if len(values) < MIN_SEEDS or low == high:  # equal values have no interval either
        ends = [format_value(value, (high - low) or None) for value in (low, high)]
        text, brackets = " to ".join(dict.fromkeys(ends)), []
    else:
        mean = mean_estimate(values)
        text, brackets = format_value(mean, mean.error), [format_interval(mean)]
    done = sum(row.counts for row in setting.runs)
    if len(values) < done:  # one was not finite: the mean is that of the others
        text += f" of {len(values)}"
    if worst and len(values) > 1:
        row = max(setting.read(tag), key=lambda row: cost(tag, row.state[tag], row.published))
        last = f"{format_value(row.state[tag], (high - low) or None)}, seed {row.varied.get('seed', '?')}"
        brackets += [format_number(statistics.stdev(values)), last]
    return f"{text} ({'; '.join(brackets)})" if brackets else text


def notes(found: Sequence[Row]) -> list[str]:
    """Return what orders the tables of runs on the same data, and what their numbers are."""
    tags = columns(found)
    groups = group_by_setting(found) if has_seeds(found) else []
    has_interval = any(len(setting.values(tag)) >= MIN_SEEDS for setting in groups for tag in tags)
    decided = comparison(found) is not None
    has_tail = any(tag in row.tail for row in found for tag in tags)
    has_published = any(row.published.keys() & row.state for row in found)
    parts = {
        INTERVAL_NOTE: has_interval,
        DECISION_NOTE: decided,
        TAIL_NOTE: has_tail,
        BRACKETS_NOTE: has_published,
    }
    return [
        *verdict(found),
        *filter(None, [order_note(found)]),
        *(note for note, applies in parts.items() if applies),
    ]


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    rule = ["---"] * len(lines[0])
    cells = [
        [cell.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ") for cell in line] for line in lines
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [cells[0], rule, *cells[1:]])


def csv_text(found: Sequence[Row]) -> str:
    """Return every number of every run as CSV: after the last step, and over the last fifth as ``<tag>_tail``."""
    import pandas

    last = ("seconds", "status", "exit_code", "error")
    numbers = [{**row.numbers, **{f"{tag}_tail": value for tag, value in row.tail.items()}} for row in found]
    keys, tags = keys_of(found), sorted({tag for own in numbers for tag in own})
    groups = groups_of_runs(found)
    lines = [
        {"run": row.name, **row.varied, **groups.get(id(row), {}), **own}
        | {name: getattr(row, name) for name in last}
        for row, own in zip(found, numbers, strict=True)
    ]
    # As objects, which pandas writes as they are: a column of integers with a gap would become floats.
    head = ["run", *keys, *(["group", "place"] if groups else []), *tags, *last]
    table = pandas.DataFrame(lines, columns=head, dtype=object)
    return table.map(_csv_cell).rename(columns=_csv_cell).to_csv(index=False)


def _csv_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula, which could start a program."""
    is_formula = (
        isinstance(value, str) and value.startswith(("=", "+", "-", "@")) and to_number(value) is None
    )
    return f"'{value}" if is_formula else value
