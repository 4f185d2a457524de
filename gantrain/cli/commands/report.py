"""``gantrain report RUN|SWEEP``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gantrain.cli.arguments import find_runs, folders_and_out, output_path
from gantrain.cli.command import Command, Word
from gantrain.errors import ConfigError, writing

if TYPE_CHECKING:
    from gantrain.reports.runs import Row

KINDS = (".html", ".gif", ".png")


def report(argv: list[str]) -> int:
    """Write one HTML file that shows a run or a sweep, or an animation of a run's samples, as out's suffix says."""
    from gantrain.core.atomic import replace_file
    from gantrain.core.run_folder import RunFolder
    from gantrain.core.text import format_size
    from gantrain.reports.at_step import step_of
    from gantrain.reports.frames import write_animation
    from gantrain.reports.html import render_page
    from gantrain.reports.runs import read_rows

    folders, given = folders_and_out("report", argv)
    runs = list(dict.fromkeys(run for folder in folders for run in find_runs(folder)))
    home = RunFolder.of(runs[0]).path if len(runs) == 1 else folders[0] if len(folders) == 1 else Path()
    step = step_of(runs[0]) if len(runs) == 1 else None
    name = "report.html" if step is None else f"report-{step:06d}.html"
    out = Path(os.path.expanduser(given)) if given else home / name
    if out.suffix.lower() not in KINDS:
        raise ConfigError("out", f"{out.name} has another suffix", f"choose from {', '.join(KINDS)}")
    if not out.parent.is_dir():
        raise ConfigError("out", f"there is no folder {out.parent}", "make it, or choose another out=FILE")
    is_page = out.suffix.lower() == ".html"
    if not is_page and len(runs) > 1:
        raise ConfigError("out", f"{out.name} would show one run of {len(runs)}", "give one run, or a .html")
    out = output_path(given, out)
    if not is_page:
        with writing(out, "choose another out=FILE"):
            frames = write_animation(home, out)
        print(f"{out}  {frames} frames, {format_size(out.stat().st_size)}")
        return 0
    found = read_rows(runs)
    title = found[0].name if len(runs) == 1 else home.resolve().name if home.parts else f"{len(runs)} runs"
    page = render_page(found, title, command_of(home, found)).encode(errors="backslashreplace")
    with writing(out, "choose another out=FILE"):
        replace_file(out, page)
    print(f"{out}  {format_size(out.stat().st_size)}, open it in a browser")
    return 0


def command_of(home: Path, found: Sequence[Row]) -> str:
    """Return the command that makes a run again; for several, what was typed where their sweep knows it."""
    from gantrain.core.sweep_folder import SweepFolder
    from gantrain.reports.runs import overrides_of

    if len(found) > 1:
        known = SweepFolder(home).command()
        return known or "\n".join(command_of(row.folder, [row]) for row in found)
    given = overrides_of(found[0].folder)
    return " ".join(
        ["gantrain", *(shlex.quote(f"{k}={v}") for k, v in given.items() if not k.startswith("run."))]
    )


COMMAND = Command(
    report,
    usage=(("RUN [out=FILE]", "one HTML file that shows runs, or their samples in motion"),),
    order=70,
    folder="sweep",
    many=True,
    words={
        "out": Word(
            "where to write it: a .html, or the samples of a run in motion, a .gif or .png", is_path=True
        )
    },
)
