"""What TensorBoard is told beside scalars and pictures: hyperparameters, a page of charts, a page of text."""

from __future__ import annotations

import logging
import math
import re
import subprocess
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

import gantrain
from gantrain.config.options import Config
from gantrain.config.validate import cautions
from gantrain.core.override import values_by_key
from gantrain.core.run_folder import RunFolder
from gantrain.core.tags import CEILING, JENSEN_SHANNON
from gantrain.tracking.event_file import read_events, write_events

log = logging.getLogger("gantrain")

VERSIONS = ("torchvision", "hydra-core", "omegaconf", "tensorboard", "numpy")
# Each chart keeps to one scale. A chart is shown where a run has one of its tags, with the others that runs have.
CHARTS = {
    "losses": ("loss/d", "loss/g", "loss/penalty"),
    "logits": ("logits/real", "logits/fake", "logits/holdout", "logits/mismatched"),
    "divergence: js": (*JENSEN_SHANNON, CEILING),
    "fidelity and diversity, shares": (
        "fidelity/precision",
        "fidelity/high_quality",
        "fidelity/class_accuracy",
        "diversity/recall",
        "diversity/coverage",
    ),
    "modes found": ("diversity/modes",),
    "KL of the modes' histogram": ("diversity/mode_kl",),
    "1 as held-out data": (
        "fidelity/density",
        "fidelity/sharpness",
        "diversity/per_condition_std",
    ),
    "distance to training data, 1 as held-out data": ("fidelity/nearest_distance",),
}


def charts(tags: Sequence[str]) -> Any:
    """Return the summary that lays out the CUSTOM SCALARS page for a run that writes ``tags``.

    TensorBoard joins the pages of all runs and keeps one of charts that are equal, so a chart never depends on the
    run: what a run does not have is no line of it.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata
    from tensorboard.util.tensor_util import make_tensor_proto

    shown = {title: lines for title, lines in CHARTS.items() if set(lines) & set(tags)}
    known = {tag for lines in CHARTS.values() for tag in lines} | {"divergence/js_gap"}
    for tag in tags:
        if tag not in known:
            truth = tag.removesuffix("_batch")
            shown[tag.replace("/", ": ")] = (tag, f"{truth}_exact", f"{truth}_density")
    content = [
        layout_pb2.Chart(
            title=title,
            # A pattern, which TensorBoard holds against the beginning of every tag.
            multiline=layout_pb2.MultilineChartContent(tag=[f"({'|'.join(map(re.escape, lines))})$"]),
        )
        for title, lines in shown.items()
    ]
    layout = layout_pb2.Layout(category=[layout_pb2.Category(title="gantrain", chart=content)])
    value = Summary.Value(
        tag=metadata.CONFIG_SUMMARY_TAG,
        metadata=metadata.create_summary_metadata(),
        tensor=make_tensor_proto(layout.SerializeToString(), shape=()),
    )
    return Summary(value=[value])


def typed(text: str) -> bool | float | str:
    """Return what a value means that was typed on a command line: a boolean, a finite number, or a word."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        number = float(text)
    except ValueError:
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        return text[1:-1] if quoted else text
    if not math.isfinite(number):
        return text
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def hparams_row(config: Config, given: Mapping[str, str]) -> Any:
    """Return the summary that gives a run its row in HPARAMS: its seed and the keys set by hand, but not its place."""
    from tensorboard.plugins.hparams import summary_v2

    values = {key: typed(text) for key, text in given.items() if not key.startswith(("run.", "hydra"))}
    # Without a name of its own the row has that of the run, so no two runs share one.
    return summary_v2.hparams_pb(values | {"seed": config.seed}, trial_id="")


def varying(jobs: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    """Return the keys that differ among jobs, each with its values as typed; all keys of a single job.

    A key has no values where some job leaves it at its default.

    Args:
        jobs: The overrides of each job: ``["objective=hinge", "seed=2"]``.
    """
    rows = [values_by_key(words) for words in jobs]
    found = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = {row.get(key) for row in rows}
        if len(values) > 1 or len(rows) == 1:
            found[key] = [] if None in values else list(dict.fromkeys(row[key] for row in rows))
    return found


def hparams_columns(varied: Mapping[str, Sequence[str]], metrics: Sequence[str]) -> Any:
    """Return the summary that names the columns of HPARAMS for a sweep.

    Args:
        varied: The keys, each with its values as typed; without values where not all are known.
        metrics: Tags of scalars.
    """
    from tensorboard.plugins.hparams import summary_v2 as hparams

    def domain(values: list[bool | float | str]) -> Any:
        kinds = {type(value) for value in values}
        if kinds in ({bool}, {str}):
            return hparams.Discrete(values)
        if kinds and kinds <= {int, float}:
            return hparams.RealInterval(float(min(values)), float(max(values)))
        return None  # unknown, or words beside numbers: a filter would hide rows

    keys = [hparams.HParam(key, domain([typed(v) for v in values])) for key, values in varied.items()]
    return hparams.hparams_config_pb(keys, [hparams.Metric(tag) for tag in dict.fromkeys(metrics)])


def sweep_record(folder: Path, jobs: Iterable[Sequence[str]], metrics: Sequence[str]) -> None:
    """Give a sweep's HPARAMS the columns of what varies and of metrics, by an event file in the sweep's folder.

    The folder has one such file, however often this is called; the same columns leave it alone. TensorBoard shows
    other columns once it is started anew. A folder that cannot be written costs one warning.

    Args:
        folder: The sweep's.
        jobs: The overrides of each job: ``["objective=hinge", "seed=2"]``.
        metrics: Tags of scalars, ``expected`` before the jobs, what their results hold after them.
    """
    from tensorboard.compat.proto.event_pb2 import Event

    summary = hparams_columns(varying(jobs), metrics)
    try:
        earlier = RunFolder(folder).event_files
        if [event.summary for path in earlier for event in read_events(path)] != [summary]:
            write_events(folder, [Event(summary=summary)]).close()
    except OSError as error:
        log.warning("the columns of HPARAMS cannot be written (%s)", error)


def commit(folder: Path) -> str | None:
    """Return the git commit of a folder, ``-dirty`` when files differ from it; None where there is none, or no git."""
    words = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "describe"]
    words += ["--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() or None


def page(command: str, config: Config, environment: Mapping[str, object]) -> str:
    """Return the Markdown of a run's page in TEXT: the command, the game, versions and commits, the config as YAML.

    Args:
        command: What the user typed.
        config: The run.
        environment: What ``Runtime.environment`` says of the machine.
    """
    chance = config.objective.chance
    level = f"A D that knows nothing has loss/d {chance:.3f}. " if math.isfinite(chance) else ""
    game = [config.objective.meaning, f"{level}What goes wrong is said in gantrain.log, in words."]
    game += [f"Caution: {line}." for line in cautions(config)]
    rows = dict(environment) | _installed() | _commits()
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    text = yaml.safe_dump(config.plain(), sort_keys=False, allow_unicode=True)
    parts = {
        # Indented, so that no backtick in it ends the block.
        "Command": textwrap.indent(command or "from Python", "    "),
        "The game": "\n\n".join(game),
        "Versions": "\n".join(table),
        "Config": textwrap.indent(text, "    "),
    }
    return "\n\n".join(f"### {title}\n\n{part}" for title, part in parts.items())


def _installed() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a package that is on the path without having been installed
            continue
    return found


def _commits() -> dict[str, str]:
    checkout = Path(gantrain.__file__).parents[1]
    found = {"commit of the working directory": commit(Path())}
    if (checkout / ".git").exists():
        found["commit of gantrain"] = commit(checkout)
    return {name: value for name, value in found.items() if value}
