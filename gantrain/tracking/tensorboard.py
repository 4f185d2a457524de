"""What TensorBoard shows next to scalars and images: hyperparameters, a page of charts, a page of text."""

import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

import gantrain
from gantrain.config.cautions import cautions
from gantrain.config.game import chance, meaning
from gantrain.config.options import Config
from gantrain.core.groups import GROUPS
from gantrain.core.override import values_by_key
from gantrain.core.run_folder import is_sweep
from gantrain.core.tags import SHARES, axis_ends
from gantrain.tracking.git_commit import git_commit

VERSIONS = ("torchvision", "hydra-core", "omegaconf", "tensorboard", "numpy")
# The charts of CUSTOM SCALARS in their order, those of other tags last.
ORDER = (
    "divergence/js_refit",
    "divergence/js_exact",
    "divergence/js_density",
    "divergence/js",
    "divergence/js_batch",
    "divergence/js_augmented",
    "divergence/js_gap",
    "loss/d",
    "loss/g",
    "loss/penalty",
    "loss/g_penalty",
    "logits/real",
    "logits/holdout",
    "logits/fake",
    "logits/mismatched",
    *SHARES,
    "diversity/modes",
    "diversity/mode_kl",
)
# Divergences besides JSD that the metric ``exact`` computes, by the ending of their tags.
EXACT = {
    "_exact": ("divergence/kl", "divergence/reverse_kl", "divergence/total_variation"),
    "_density": ("divergence/total_variation",),
}


def charts_summary(tags: Sequence[str]) -> Any:
    """Return the layout of the CUSTOM SCALARS page for a run that writes ``tags``.

    TensorBoard merges the pages of all runs and keeps one of equal charts, so a chart must not depend on the run; a
    tag that a run lacks gives no line.
    """
    from tensorboard.util.tensor_util import make_tensor_proto

    # The exact values that stand next to an estimate, where one of JSD is known.
    kinds = [kind for kind in EXACT if f"divergence/js{kind}" in tags]
    tags = [*tags, *(f"{tag}{kind}" for kind in kinds for tag in EXACT[kind] if tag in tags)]
    ordered = [tag for tag in ORDER if tag in tags] + [tag for tag in tags if tag not in ORDER]
    content = []
    for tag in ordered:
        # Colours are those of runs, so a chart has one quantity; its pattern is matched at the beginning of every tag.
        pattern = f"({'|'.join(map(re.escape, (tag, *axis_ends(tag))))})$"
        lines = layout_pb2.MultilineChartContent(tag=[pattern])
        content.append(layout_pb2.Chart(title=tag, multiline=lines))
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


def hparams_row(config: Config, overrides: Mapping[str, str], folder: Path) -> Any:
    """Return the row of a run in HPARAMS: every key as typed or resolved, so that a default is not blank."""
    from tensorboard.plugins.hparams import summary_v2

    # The choice of a group without a class of its own is known only where it was typed.
    values: dict[str, bool | float | str] = {
        name: "unset" for name, group in GROUPS.items() if not group.family
    }
    for group, content in config.plain().items():
        if isinstance(content, dict):
            values |= {group if key == "name" else f"{group}.{key}": _hparam(v) for key, v in content.items()}
    values |= {key: parse_hparam(text) for key, text in overrides.items()}
    values = {key: value for key, value in values.items() if not key.startswith(("run.", "hydra"))}
    return summary_v2.hparams_pb(values | {"seed": config.seed}, trial_id=trial_name(folder))


def _hparam(value: Any) -> bool | float | str:
    """Return a resolved value as HPARAMS takes it, a list as it is typed."""
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    if isinstance(value, bool | int | float):
        return value if math.isfinite(value) else str(value)
    return "null" if value is None else str(value) or "unset"


def trial_name(folder: Path) -> str:
    """Return a short name of a run for HPARAMS, whose column shows about 14 letters: ``3-482915``, job 3 of a sweep.

    The digits are those with which the name of a folder ends, the microseconds of its start, or else all of that name.
    """
    whole = folder.parent if is_sweep(folder.parent) else folder
    name = re.sub(r".*-(?=\d{6}$)", "", whole.name)
    return name if whole is folder else f"{folder.name.partition('-')[0]}-{name}"


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
