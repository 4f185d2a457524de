"""The config groups, and the YAML files that are their choices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gantrain.errors import ConfigError, GantrainError

if TYPE_CHECKING:
    import yaml


GROUPS = (
    "dataset",
    "model",
    "objective",
    "penalty",
    "noise",
    "optimizer",
    "device",
    "metric",
    "experiment",
    "sweep",
    "debug",
)


def yaml_dir() -> Path:
    """Return the folder of the shipped YAML files: beside the package in a checkout, inside it in a wheel."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here.parent / "configs", here / "configs"):
        if (folder / "config.yaml").is_file():
            return folder
    raise GantrainError("configs", "gantrain's own YAML files are missing", "install gantrain again")


def options(group: str) -> dict[str, str]:
    """Return the options of a config group with the first comment line of each one's YAML."""
    found = {}
    for path in sorted((yaml_dir() / group).glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        # Hydra wants its package directive on the very first line; the description is the first line after it.
        found[path.stem] = next((line[1:].strip() for line in lines if not line.startswith("# @")), "")
    return found


def not_yaml(error: yaml.MarkedYAMLError) -> ConfigError:
    """Return YAML's complaint as one line with file, line and column."""
    mark = error.problem_mark or error.context_mark
    where = f"{mark.name}:{mark.line + 1}:{mark.column + 1}" if mark else "config"
    return ConfigError(where, f"is not YAML ({error.problem or error.context})", "mend the line")


def check_options(folder: Path) -> None:
    """See that a user's folder holds options that can be chosen: readable, of new names, with keys in them.

    Raises:
        ConfigError: Naming the file that is not so.
    """
    import yaml

    if not folder.is_dir():
        raise ConfigError("--config-dir", f"there is no folder {folder}", "give a folder of YAML files")
    for path in sorted(path for group in GROUPS for path in folder.glob(f"{group}/*.yaml")):
        group = path.parent.name
        if path.stem in options(group):  # Hydra would take the shipped one without a word
            raise ConfigError(path, f"gantrain has its own {group}={path.stem}", "give the file another name")
        try:
            with path.open("rb") as file:
                node = yaml.compose(file)
        except yaml.MarkedYAMLError as error:
            raise not_yaml(error) from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            what = " ".join(str(error).split())
            raise ConfigError(path, f"cannot be read ({what})", "write YAML in UTF-8") from error
        keys = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        if not keys:
            raise ConfigError(path, "holds no keys", "write key: value lines")
        if not isinstance(keys.get("defaults", yaml.SequenceNode("", [])), yaml.SequenceNode):
            raise ConfigError(path, "has defaults that are not a list", "write defaults: [OPTION, _self_]")
