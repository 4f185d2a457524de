"""Tables of several runs: on the terminal, best first, and as files next to the runs."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from gantrain.core.files import replace_file
from gantrain.core.run_folder import DONE
from gantrain.core.sweep_folder import (
    SUMMARY_FIGURE,
    SUMMARY_SAMPLES,
    SUMMARY_TABLE,
    SUMMARY_TEXT,
    SweepFolder,
)
from gantrain.core.text import align_columns, format_number, format_with_error
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

MAX_LINES = 40  # rows of a table that a terminal is shown; the file has all


def run_table(found: Sequence[Row]) -> list[list[str]]:
    """Return one line a run, best first: what varied, its numbers next to published ones, and how it ended."""
    keys, tags = keys_of(found), columns(found)
    names = _short_names([row.name for row in found])
    lines = [["run", *keys, *tags, "seconds", "status"]]
    for row in best_first(found):
        cells = [_cell(row, tag) for tag in tags]
        setting = [row.varied.get(key, "") for key in keys]
        lines.append([names[row.name], *setting, *cells, f"{row.seconds:.0f}", row.ending])
    return lines


def seed_table(found: Sequence[Row], worst: bool = True) -> list[list[str]]:
    """Return mean and standard deviation over seeds for each setting, best first; nothing where there is one seed.

    Args:
        found: The runs.
        worst: Whether every mean is followed by the worst seed, in brackets.
    """
    if not has_seeds(found):
        return []
    keys, tags = [key for key in keys_of(found) if key != "seed"], columns(found)
    failed = any(not row.counts for row in found)
    head = [f"{tag} (worst seed)" if worst else tag for tag in tags]
    lines = [[*keys, "seeds", *head, *(["not finished"] if failed else [])]]
    for setting in settings(found):
        done = sum(row.counts for row in setting.runs)
        count = f"{done} of {len(setting.runs)}" if done < len(setting.runs) else f"{done}"
        ends = [f"seed {row.varied.get('seed', '?')} {row.ending}" for row in setting.runs if not row.counts]
        cells = [_spread(setting, tag, worst) for tag in tags]
        last = [", ".join(ends)] if failed else []
        lines.append([*(setting.varied.get(key, "") for key in keys), count, *cells, *last])
    return lines


def failures(found: Sequence[Row]) -> list[str]:
    """Return a line for each run that did not finish: its name, how it ended, its error; to be pruned is no failure."""
    return [
        f"{row.name}: {row.ending}" + (f": {' '.join(row.error.split())}" if row.error else "")
        for row in found
        if row.status not in DONE
    ]


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Return the numbers that lead the names of a sweep's jobs, where each has its own; else the names."""
    numbers = [name.split("-")[0] for name in names]
    alone = all(number.isdigit() for number in numbers) and len(set(numbers)) == len(names)
    return dict(zip(names, numbers if alone else names, strict=True))


def _cell(row: Row, tag: str) -> str:
    if tag not in row.numbers:
        return ""
    published = f" ({format_number(row.published[tag])})" if tag in row.published else ""
    return f"{format_number(row.numbers[tag])}{published}"


def _spread(setting: Setting, tag: str, worst: bool) -> str:
    values = setting.values(tag)
    if not values:
        return ""
    mean = format_with_error(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)
    done = sum(row.counts for row in setting.runs)
    if len(values) < done:  # a number that was infinite, say: the mean is that of the others
        mean += f" of {len(values)}"
    if not worst:
        return mean
    last = max(setting.read(tag), key=lambda row: cost(tag, row.numbers[tag], row.published))
    return f"{mean} ({format_number(last.numbers[tag])}, seed {last.varied.get('seed', '?')})"


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    rule = ["---"] * len(lines[0])
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in [cells[0], rule, *cells[1:]])


def csv_text(found: Sequence[Row]) -> str:
    """Return every number of every run as CSV."""
    import pandas

    tags = sorted({tag for row in found for tag in row.numbers})
    table = pandas.DataFrame(
        [
            {"run": row.name, **{key: row.varied.get(key) for key in keys_of(found)}}
            | {tag: row.numbers.get(tag) for tag in tags}
            | {"seconds": row.seconds, "status": row.status, "exit_code": row.exit_code, "error": row.error}
            for row in found
        ],
        dtype=object,
    )
    return table.to_csv(index=False)


def markdown_page(found: Sequence[Row]) -> str:
    """Return the tables as a Markdown page, with what to know of them."""
    tables = [markdown_table(table) for table in (seed_table(found), run_table(found)) if table]
    notes = [f"- {line}" for line in [order_note(found), *not_comparable(found), *failures(found)] if line]
    return "\n\n".join([*tables, *(["\n".join(notes)] if notes else [])]) + "\n"


def write_files(folder: Path, found: Sequence[Row]) -> list[str]:
    """Write ``summary.md``, ``summary.csv``, ``summary.png`` and ``samples.png``.

    Returns:
        A line for each file that could not be made; the others are there.
    """
    makers: dict[str, Callable[[], bytes | None]] = {
        SUMMARY_TEXT: lambda: markdown_page(found).encode(errors="backslashreplace"),
        SUMMARY_TABLE: lambda: csv_text(found).encode(errors="backslashreplace"),
        SUMMARY_FIGURE: lambda: encode_png(chart(found)),
        SUMMARY_SAMPLES: lambda: encode_png(sample_sheet(found)),
    }
    errors = []
    for name, make in makers.items():
        try:
            content = make()
            if content is not None:
                replace_file(folder / name, content)
        except OSError as error:
            errors.append(f"{folder / name} cannot be written ({error.strerror or error})")
        except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:  # a picture of odd numbers
            errors.append(f"{folder / name} cannot be drawn ({' '.join(str(error).split())})")
    return errors


def comparison_text(found: Sequence[Row]) -> str:
    """Return what a terminal is shown: settings over their seeds, runs, and what to know of both."""
    tables = [_first_lines(lines) for lines in (seed_table(found, worst=False), run_table(found)) if lines]
    brackets = (
        "in brackets: published or exact numbers"
        if any(row.published.keys() & row.numbers for row in found)
        else ""
    )
    warnings = [f"warning: {line}" for line in not_comparable(found)]
    notes = "\n".join(line for line in (order_note(found), brackets, *warnings) if line)
    ends = failures(found)
    failed = "\n".join([f"{len(ends)} of {len(found)} runs did not finish", *ends]) if ends else ""
    return "\n\n".join(part for part in (*tables, notes, failed) if part)


def _first_lines(lines: Sequence[Sequence[str]]) -> str:
    rest = len(lines) - 1 - MAX_LINES
    return align_columns(lines[: MAX_LINES + 1]) + (
        f"\nand {rest} more, in {SUMMARY_TEXT}" if rest > 0 else ""
    )


def file_lines(folder: Path) -> str:
    """Return the lines that say where a comparison's files are."""
    return "\n".join(f"{word:9}  {path}" for word, path in SweepFolder(folder).summaries().items())


def summarise(folder: Path, runs: Sequence[Path]) -> str:
    """Return a sweep's closing lines, and write its tables and pictures as ``write_files`` does.

    Args:
        folder: The sweep's.
        runs: The folders of its jobs, some of which may be absent or broken; files that cannot be written cost a line.
    """
    found = read_rows(runs)
    errors = write_files(folder, found)
    quoted = shlex.quote(str(folder))
    more = f"dashboard  gantrain tensorboard {quoted}\nreport     gantrain report {quoted}"
    return "\n" + "\n\n".join([comparison_text(found), "\n".join([*errors, file_lines(folder), more])])
