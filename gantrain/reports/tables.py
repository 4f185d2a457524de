"""Tables of several runs: for the terminal, best first, and as files next to the runs."""

import shlex
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gantrain.core.atomic import replace_file
from gantrain.core.run_folder import DONE
from gantrain.core.sweep_folder import (
    SUMMARY_FIGURE,
    SUMMARY_SAMPLES,
    SUMMARY_TABLE,
    SUMMARY_TEXT,
    SweepFolder,
)
from gantrain.core.text import align_columns, format_number, format_with_error, one_line
from gantrain.errors import OutputError, writing
from gantrain.reports.figures import chart, encode_png, sample_sheet
from gantrain.reports.ranking import (
    Setting,
    best_first,
    columns,
    cost,
    has_seeds,
    keys_of,
    not_comparable,
    order_note,
    settings,
)
from gantrain.reports.runs import Row, read_rows
from gantrain.reports.varying import to_number

MAX_LINES = 40  # rows of a table on the terminal; the file has all


def run_table(found: Sequence[Row]) -> list[list[str]]:
    """Return one line per run, best first: what varied, its metrics next to published values, and its status."""
    keys, tags = keys_of(found), columns(found)
    names = _short_names([row.name for row in found])
    lines = [["run", *keys, *tags, "seconds", "status"]]
    for row in best_first(found):
        cells = [*(row.varied.get(key, "") for key in keys), *(_cell(row, tag) for tag in tags)]
        lines.append([names[row.name], *cells, f"{row.seconds:.0f}", row.ending])
    return lines


def seed_table(found: Sequence[Row], worst: bool = True) -> list[list[str]]:
    """Return mean and standard deviation over seeds for each setting, best first; nothing without several seeds.

    With ``worst`` the worst seed follows every mean, in brackets.
    """
    if not has_seeds(found):
        return []
    keys, tags = [key for key in keys_of(found) if key != "seed"], columns(found)
    failed = any(not row.counts for row in found)
    head = [f"{tag} (worst seed)" if worst else tag for tag in tags]
    lines = [[*keys, "seeds", *head, *["not finished"] * failed]]
    for setting in settings(found):
        ends = [f"seed {row.varied.get('seed', '?')} {row.ending}" for row in setting.runs if not row.counts]
        total, done = len(setting.runs), len(setting.runs) - len(ends)
        count = f"{done} of {total}" if ends else f"{done}"
        cells = [*(setting.varied.get(key, "") for key in keys), count]
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
    if tag not in row.numbers:
        return ""
    value = format_number(row.numbers[tag])
    return f"{value} ({format_number(row.published[tag])})" if tag in row.published else value


def _spread(setting: Setting, tag: str, worst: bool) -> str:
    values = setting.values(tag)
    if not values:
        return ""
    mean = format_with_error(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)
    done = sum(row.counts for row in setting.runs)
    if len(values) < done:  # one was not finite: the mean is that of the others
        mean += f" of {len(values)}"
    if not worst:
        return mean
    row = max(setting.read(tag), key=lambda row: cost(tag, row.numbers[tag], row.published))
    return f"{mean} ({format_number(row.numbers[tag])}, seed {row.varied.get('seed', '?')})"


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    rule = ["---"] * len(lines[0])
    cells = [
        [cell.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ") for cell in line] for line in lines
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [cells[0], rule, *cells[1:]])


def csv_text(found: Sequence[Row]) -> str:
    """Return every number of every run as CSV."""
    import pandas

    keys, tags = keys_of(found), sorted({tag for row in found for tag in row.numbers})
    last = ("seconds", "status", "exit_code", "error")
    lines = [
        {"run": row.name, **row.varied, **row.numbers, **{n: getattr(row, n) for n in last}} for row in found
    ]
    # As objects, which pandas writes as they are: a column of integers with a gap would become floats.
    table = pandas.DataFrame(lines, columns=["run", *keys, *tags, *last], dtype=object)
    return table.map(_csv_cell).rename(columns=_csv_cell).to_csv(index=False)


def _csv_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula, which could start a program."""
    is_formula = (
        isinstance(value, str) and value.startswith(("=", "+", "-", "@")) and to_number(value) is None
    )
    return f"'{value}" if is_formula else value


def markdown_page(found: Sequence[Row]) -> str:
    """Return the tables as a Markdown page, with notes on how they compare."""
    tables = [markdown_table(table) for table in (seed_table(found), run_table(found)) if table]
    notes = [f"- {line}" for line in [order_note(found), *not_comparable(found), *failures(found)] if line]
    return "\n\n".join(filter(None, [*tables, "\n".join(notes)])) + "\n"


def write_files(folder: Path, found: Sequence[Row]) -> list[OutputError]:
    """Write ``summary.md``, ``.csv``, ``.png`` and ``samples.png``; return an error for each that cannot be written."""
    makers: dict[str, Callable[[], bytes | None]] = {
        SUMMARY_TEXT: lambda: markdown_page(found).encode(errors="backslashreplace"),
        SUMMARY_TABLE: lambda: csv_text(found).encode(errors="backslashreplace"),
        SUMMARY_FIGURE: lambda: encode_png(chart(found)),
        SUMMARY_SAMPLES: lambda: encode_png(sample_sheet(found)),
    }
    errors = []
    for name, make in makers.items():
        try:
            with writing(folder / name):
                content = make()
                if content is not None:
                    replace_file(folder / name, content)
        except OutputError as error:
            errors.append(error)
        except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:  # a plot of extreme numbers
            what = f"cannot be drawn ({' '.join(str(error).split())})"
            errors.append(OutputError(folder / name, what, f"see the numbers in {SUMMARY_TABLE}"))
    return errors


def comparison_text(found: Sequence[Row]) -> str:
    """Return the text for a terminal: settings over their seeds, runs, notes on both, and failures."""
    tables = [_first_lines(lines) for lines in (seed_table(found, worst=False), run_table(found)) if lines]
    has_published = any(row.published.keys() & row.numbers for row in found)
    brackets = "in brackets: published or exact numbers" if has_published else ""
    notes = [order_note(found), brackets, *(f"warning: {line}" for line in not_comparable(found))]
    ends = failures(found)
    shown = [*map(one_line, ends[:MAX_LINES]), *_more(ends)]
    failed = "\n".join([f"{len(ends)} of {len(found)} runs did not finish", *shown]) if ends else ""
    return "\n\n".join(filter(None, (*tables, "\n".join(map(one_line, filter(None, notes))), failed)))


def _first_lines(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join([align_columns(lines[: MAX_LINES + 1]), *_more(lines[1:])])


def _more(lines: Sequence[object]) -> list[str]:
    rest = len(lines) - MAX_LINES
    return [f"and {rest} more, in {SUMMARY_TEXT}"] if rest > 0 else []


def file_lines(folder: Path) -> str:
    """Return the paths of a comparison's files, a line each."""
    return "\n".join(f"{word:9}  {path}" for word, path in SweepFolder(folder).summaries().items())


def summarise(folder: Path, runs: Sequence[Path]) -> str:
    """Write a sweep's tables and figures, and return the text at its end; jobs and files may be absent or broken."""
    found = read_rows(runs)
    errors = write_files(folder, found)
    quoted = shlex.quote(str(folder))
    more = f"dashboard  gantrain tensorboard {quoted}\nreport     gantrain report {quoted}"
    return "\n" + "\n\n".join(
        [comparison_text(found), "\n".join([*map(str, errors), file_lines(folder), more])]
    )
