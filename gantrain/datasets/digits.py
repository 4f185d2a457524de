"""Real handwritten digits that scikit-learn ships: the default, since nothing has to be downloaded."""

import gzip
import importlib.util
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Dataset, split
from gantrain.errors import DataError
from gantrain.registry import option, register

INSIDE = Path("datasets", "data", "digits.csv.gz")  # of scikit-learn's package
REMEDY = "pip install --force-reinstall scikit-learn"


@register("dataset")
@dataclass
class Digits(Dataset):
    """1,797 grey 8x8 digits by 13 writers, which scikit-learn ships.

    They are the test part of the UCI data of Alpaydin and Kaynak 1998; its training part is by 30 other writers.
    """

    name: str = option("digits", "registered name")
    holdout: float = option(
        0.2, "fraction held out of training, for the metrics; 0 leaves one out at a time", minimum=0, below=1
    )

    def spec(self) -> Spec:
        find_file()
        return Spec(shape=(1, 8, 8), classes=10)

    def load(self, seed: int) -> Data:
        table = read_table(find_file())
        # [N, 64] in 0..16 to [N, 1, 8, 8] in [-1, 1]
        x = table[:, :64].div(8.0).sub(1.0).reshape(-1, 1, 8, 8)
        return Data(self.spec(), *split(x, table[:, 64].long(), self.holdout, seed))


def find_file() -> Path:
    """Return scikit-learn's file of digits; to import the package would take half as long as to import torch.

    Raises:
        DataError: When the package or the file is not installed.
    """
    package = importlib.util.find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        if (path := Path(folder, INSIDE)).is_file():
            return path
    raise DataError("dataset=digits", f"scikit-learn's {INSIDE} is not installed", REMEDY)


def read_table(path: Path) -> Tensor:
    """Return 64 pixels in 0..16 and the label of each digit, shape [1797, 65]. Raises DataError for another file."""
    try:
        with gzip.open(path, "rt") as file:
            table = np.loadtxt(file, dtype=np.float32, delimiter=",")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(path, f"cannot be read ({error})", REMEDY) from error
    if table.shape != (1797, 65):
        raise DataError(path, f"holds a table of {table.shape}, not of (1797, 65)", REMEDY)
    return torch.from_numpy(table)
