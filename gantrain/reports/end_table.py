"""The text of one run for a terminal: tables of metrics, and the lines at its end."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gantrain.core.directions import direction
from gantrain.core.run_address import BEST, checked_best
from gantrain.core.run_folder import RunFolder
from gantrain.core.tags import IN_NATS
from gantrain.core.text import align_columns, format_estimate, format_interval, format_number, one_line
from gantrain.reports.readings import INTERVAL, estimates, floors, notes, sections, tail_estimates
from gantrain.reports.tail import published_table


def metric_table(result: Mapping[str, Any]) -> str:
    """Return a result's metrics as aligned lines by their source: tag, value, interval, n, what real data measure."""
    known, real = estimates(result), floors(result)
    lines = [["metric", "value", INTERVAL, "n", "real against real"]]
    for title, tags in sections(result, known).items():
        lines.append([title, "", "", "", ""])
        for tag in tags:
            text = format_estimate(known[tag], "nats" if IN_NATS.fullmatch(tag) else "", is_short=True)
            n = f"{known[tag].n:,}" if known[tag].n else ""
            floor = format_estimate(real[tag], is_short=True) if tag in real else ""
            lines.append([f"  {tag}", text, format_interval(known[tag]), n, floor])
    kept = [i for i in range(5) if i < 2 or any(line[i] for line in lines[1:])]
    table = align_columns([[line[i] for i in kept] for line in lines]) if known else ""
    caveats: dict[tuple[str, str], list[str]] = {}
    for tag in (tag for tags in sections(result, known).values() for tag in tags if known[tag].caveat):
        what = "no upper end" if format_interval(known[tag]) else "± not reliable"
        caveats.setdefault((what, known[tag].caveat), []).append(tag)
    why = [one_line(f"{what}: {', '.join(tags)}: {caveat}") for (what, caveat), tags in caveats.items()]
    return "\n".join(filter(None, [table, *notes(known.values(), real.values()), *why]))


def protocol_warnings(protocol: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a line for each metric whose protocol has a warning: the numbers of the protocol, and the warning."""
    lines = []
    for name, entries in protocol.items():
        if "warning" in entries:
            numbers = {key: value if isinstance(value, list) else [value] for key, value in entries.items()}
            texts = [
                f"{key} {' to '.join(f'{v:.3g}' if isinstance(v, float) else str(v) for v in values)}"
                for key, values in numbers.items()
                if all(isinstance(v, int | float) for v in values)
            ]
            lines.append(f"{name:10} {', '.join(texts)}: {entries['warning']}")
    return "\n".join(lines)


def health_lines(result: Mapping[str, Any]) -> list[str]:
    """Return what a run's checks found, or that they found nothing, and what they could not see."""
    findings, unchecked = (
        found if isinstance(found := result.get(key), list) else [] for key in ("health", "unchecked")
    )
    lines = [f"health     {line}" for line in findings]
    if not findings and "unchecked" in result:  # of an earlier version it is not known what was checked
        lines = ["health     no fault found"]
    return lines + [f"unchecked  {line}" for line in unchecked]


def best_text(best: Any, run: Path) -> str:
    """Return the step, value and name of a run's best checkpoint; "" where its result or checkpoint has none."""
    if not isinstance(best, Mapping):  # a run without train.keep_best
        return ""
    if not (known := checked_best(best)):
        return "none: the metric of train.keep_best was never finite"
    tag, value = known["tag"], format_number(known["value"])
    better = f" ({known_direction})" if (known_direction := direction(tag)) else ""
    return one_line(f"step {known['step']:,}: {tag} {value}{better}, {shlex.quote(f'{run}@{BEST}')}")


def end_table(result: Mapping[str, Any], folder: Path) -> str:
    """Return the lines at the end of a run: its length and speed, its metrics, its files."""
    run = RunFolder(folder)
    count = f"{result['name']}: {result['step']:,} steps, {result['images']:,} images"
    speed = f"{result['seconds']:.0f} s ({result['images_per_second']:,.0f} a second while training)"
    files = [f"best       {text}" for text in filter(None, [best_text(result.get(BEST), folder)])]
    files += [f"pictures   {path}" for path in run.pictures[-1:]]
    figures = [f"figure     {path}" for path in run.figures]
    files += [
        *figures,
        f"result     {run.result_file}",
        f"dashboard  gantrain tensorboard {shlex.quote(str(folder))}",
    ]
    parts = [
        f"{count}, {speed}",
        metric_table(result),
        protocol_warnings(result["protocol"]),
        published_table(tail_estimates(result), result["published"]),
        "\n".join(health_lines(result)),
        "\n".join(files),
    ]
    return "\n" + "\n\n".join(filter(None, parts))
