"""The summary of several runs: its text for the terminal, and its files next to the runs."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from gantrain.core.atomic import replace_file
from gantrain.core.sweep_folder import (
    SUMMARY_FIGURE,
    SUMMARY_SAMPLES,
    SUMMARY_TABLE,
    SUMMARY_TEXT,
    SweepFolder,
)
from gantrain.core.text import align_columns, one_line
from gantrain.errors import OutputError, writing
from gantrain.reports.decisions import decision_table
from gantrain.reports.figures import chart, encode_png, sample_sheet
from gantrain.reports.ranking import not_comparable
from gantrain.reports.runs import Row, read_rows
from gantrain.reports.settings import group_by_data
from gantrain.reports.tables import csv_text, failures, markdown_table, notes, run_table, seed_table

MAX_LINES = 40  # rows of a table on the terminal; the file has all


def markdown_page(found: Sequence[Row]) -> str:
    """Return the tables as a Markdown page, with notes on how they compare."""
    parts = []
    for name, rows in group_by_data(found).items():
        found_tables = (seed_table(rows), decision_table(rows, all_pairs=True), run_table(rows))
        tables = [markdown_table(table) for table in found_tables if table]
        parts += [f"## {name}"] * bool(name) + [*tables, "\n".join(f"- {line}" for line in notes(rows))]
    parts.append("\n".join(f"- {line}" for line in [*not_comparable(found), *failures(found)]))
    return "\n\n".join(filter(None, parts)) + "\n"


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
    parts = []
    for name, rows in group_by_data(found).items():
        found_tables = (seed_table(rows, worst=False), decision_table(rows), run_table(rows))
        tables = [_first_lines(lines) for lines in found_tables if lines]
        parts += [f"data: {one_line(name)}"] * bool(name) + [*tables, "\n".join(map(one_line, notes(rows)))]
    parts.append("\n".join(one_line(f"warning: {line}") for line in not_comparable(found)))
    if ends := failures(found):
        shown = [*map(one_line, ends[:MAX_LINES]), *_more(ends)]
        parts.append("\n".join([f"{len(ends)} of {len(found)} runs did not finish", *shown]))
    return "\n\n".join(filter(None, parts))


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
