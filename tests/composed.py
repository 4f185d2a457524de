"""What a command line composes to, made once a process: composing is most of what a small test costs."""

import copy
import functools
from pathlib import Path
from typing import Any

import pytest

from gantrain.config.compose import compose
from gantrain.config.resolve import plain_data
from gantrain.core.groups import yaml_dir

FOLDERS = sorted(
    path.name for path in yaml_dir().iterdir() if path.is_dir() and path.name not in ("hydra", "study")
)
STEMS = {group: [path.stem for path in sorted((yaml_dir() / group).glob("*.yaml"))] for group in FOLDERS}


@functools.cache
def _once(*words: str) -> dict[str, Any]:
    return plain_data(compose(list(words)))


def composed(*words: str) -> dict[str, Any]:
    """Return the plain data of a config, the caller's own to change."""
    return copy.deepcopy(_once(*words))


def placed(words: list[str], root: Path) -> dict[str, Any]:
    """Return what words compose to; a dataset that lies in files finds them where the fixture ``files`` put them."""
    plain = composed(*words)
    places = {"root": str(root), "path": str(root / "numbers.csv")}
    if plain["dataset"]["name"] == "hub":
        places = {"root": str(_saved(root)), "repository": None}
    plain["dataset"] |= {key: place for key, place in places.items() if key in plain["dataset"]}
    return plain


def _saved(root: Path) -> Path:
    """The images of a folder as Hugging Face's datasets saves them."""
    datasets = pytest.importorskip("datasets")
    if not (root / "saved").exists():
        columns = {"image": [{"bytes": path.read_bytes(), "path": None} for path in root.glob("*.png")]}
        rows = datasets.Dataset.from_dict(columns, datasets.Features({"image": datasets.Image()}))
        rows.save_to_disk(str(root / "saved"))
    return root / "saved"
