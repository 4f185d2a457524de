"""What TensorBoard shows next to scalars and images: hyperparameters, a page of charts, a page of text."""

import logging
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

import gantrain
from gantrain.config.game import chance, meaning
from gantrain.config.options import Config
from gantrain.config.validate import cautions
from gantrain.core.override import values_by_key
from gantrain.core.run_folder import RunFolder
from gantrain.core.tags import CEILING, JENSEN_SHANNON
from gantrain.tracking.event_file import read_events, write_events
from gantrain.tracking.git_commit import git_commit

log = logging.getLogger("gantrain")

VERSIONS = ("torchvision", "hydra-core", "omegaconf", "tensorboard", "numpy")
# Each chart has one scale. A run that has one of its tags gets the chart, with whichever of its tags runs have.
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
    "1 as held-out data": ("fidelity/density", "fidelity/sharpness", "diversity/per_condition_std"),
    "distance to training data, 1 as held-out data": ("fidelity/nearest_distance",),
}


def charts_summary(tags: Sequence[str]) -> Any:
    """Return the layout of the CUSTOM SCALARS page for a run that writes ``tags``.

    TensorBoard merges the pages of all runs and keeps one of equal charts, so a chart must not depend on the run; a
    tag that a run lacks gives no line.
    """
    from tensorboard.util.tensor_util import make_tensor_proto

    # The charts of known tags, then one for each other estimate, with its exact value and that from densities.
    layouts = {title: lines for title, lines in CHARTS.items() if set(lines) & set(tags)}
    known = {tag for lines in CHARTS.values() for tag in lines} | {"divergence/js_gap"}
    for tag in tags:
        if tag not in known:
            exact = tag.removesuffix("_batch")
            layouts[tag.replace("/", ": ")] = (tag, f"{exact}_exact", f"{exact}_density")
    content = [
        layout_pb2.Chart(
            title=title,
            # TensorBoard matches the pattern at the beginning of every tag.
            multiline=layout_pb2.MultilineChartContent(tag=[f"({'|'.join(map(re.escape, lines))})$"]),
        )
        for title, lines in layouts.items()
    ]
    # The page is stored as a tensor that holds the bytes of a protocol buffer.
    layout = layout_pb2.Layout(category=[layout_pb2.Category(title="gantrain", chart=content)])
    value = Summary.Value(
        tag=metadata.CONFIG_SUMMARY_TAG,
        metadata=metadata.create_summary_metadata(),
        tensor=make_tensor_proto(layout.SerializeToString(), shape=()),
    )
    return Summary(value=[value])


def parse_hparam(text: str) -> bool | float | str:
    """Parse a value of the command line to a boolean, a finite number, or text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        number = float(text)
    except ValueError:
        is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        return text[1:-1] if is_quoted else text
    if not math.isfinite(number):
        return text
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def hparams_row(config: Config, overrides: Mapping[str, str]) -> Any:
    """Return the row of a run in HPARAMS: its seed and its overrides, except the run's folder."""
    from tensorboard.plugins.hparams import summary_v2

    places = ("run.", "hydra")
    values = {key: parse_hparam(text) for key, text in overrides.items() if not key.startswith(places)}
    # With an empty name TensorBoard uses that of the run, which is unique.
    return summary_v2.hparams_pb(values | {"seed": config.seed}, trial_id="")


def differing_keys(jobs: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    """Return the keys that differ among jobs with their values as typed, or all keys of a single job.

    A key that some job leaves at its default has no values, since not all of them are known.

    Args:
        jobs: The overrides of each job: ``["objective=hinge", "seed=2"]``.
    """
    rows = [values_by_key(words) for words in jobs]
    differing = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = {row.get(key) for row in rows}
        if len(values) > 1 or len(rows) == 1:
            differing[key] = [] if None in values else list(dict.fromkeys(row[key] for row in rows))
    return differing


def hparams_columns(varied: Mapping[str, Sequence[str]], metrics: Sequence[str]) -> Any:
    """Return the columns of HPARAMS for a sweep.

    Args:
        varied: Of ``differing_keys``.
        metrics: Tags of scalars.
    """
    from tensorboard.plugins.hparams import summary_v2 as hparams

    def domain(values: list[bool | float | str]) -> Any:
        kinds = {type(value) for value in values}
        if kinds in ({bool}, {str}):
            return hparams.Discrete(values)
        if kinds and kinds <= {int, float}:
            return hparams.RealInterval(float(min(values)), float(max(values)))
        return None  # unknown, or text mixed with numbers: a filter would hide rows

    keys = [hparams.HParam(key, domain([parse_hparam(v) for v in values])) for key, values in varied.items()]
    return hparams.hparams_config_pb(keys, [hparams.Metric(tag) for tag in dict.fromkeys(metrics)])


def write_hparams_columns(folder: Path, jobs: Iterable[Sequence[str]], metrics: Sequence[str]) -> None:
    """Write the columns of a sweep's HPARAMS, differing keys and metrics, as the one event file in its folder.

    TensorBoard shows changed columns after a restart. A folder that cannot be written costs one warning.

    Args:
        folder: The sweep's.
        jobs: The overrides of each job: ``["objective=hinge", "seed=2"]``.
        metrics: Tags of scalars: those expected before the jobs run, those of their results afterwards.
    """
    summary = hparams_columns(differing_keys(jobs), metrics)
    try:
        earlier = RunFolder(folder).event_files
        # Equal columns leave the file unchanged.
        if [event.summary for path in earlier for event in read_events(path)] != [summary]:
            write_events(folder, [Event(summary=summary)]).close()
    except OSError as error:
        log.warning("the columns of HPARAMS cannot be written (%s)", error)


def run_page(command: str, config: Config, environment: Mapping[str, object]) -> str:
    """Return the Markdown of a run for the TEXT tab: the command, the game, versions, commits, the config as YAML."""
    # What the game is: its losses, the value at chance, and what to be careful about.
    loss = chance(config)
    level = f"At chance loss/d is {loss:.3f}. " if math.isfinite(loss) else ""
    game = [meaning(config), f"{level}Faults are reported in gantrain.log."]
    game += [f"Caution: {line}." for line in cautions(config)]
    # What it ran on: machine, packages, commits.
    rows = dict(environment) | _package_versions() | _commits()
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    text = yaml.safe_dump(config.plain(), sort_keys=False, allow_unicode=True)
    parts = {
        # Indented, so that a backtick cannot end the block.
        "Command": textwrap.indent(command or "from Python", "    "),
        "The game": "\n\n".join(game),
        "Versions": "\n".join(table),
        "Config": textwrap.indent(text, "    "),
    }
    return "\n\n".join(f"### {title}\n\n{part}" for title, part in parts.items())


def _package_versions() -> dict[str, str]:
    versions = {}
    for name in VERSIONS:
        with suppress(PackageNotFoundError):  # on the path but not installed
            versions[name] = version(name)
    return versions


def _commits() -> dict[str, str]:
    checkout = Path(gantrain.__file__).parents[1]
    commits = {"commit of the working directory": git_commit(Path())}
    if (checkout / ".git").exists():
        commits["commit of gantrain"] = git_commit(checkout)
    return {name: value for name, value in commits.items() if value}
