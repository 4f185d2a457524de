"""Real handwritten digits that scikit-learn ships: the default, since nothing has to be downloaded."""

from dataclasses import dataclass

import numpy as np
import torch

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Dataset, split
from gantrain.registry import option, register


@register("dataset")
@dataclass
class Digits(Dataset):
    """1,797 grey 8x8 digits by 13 writers, which scikit-learn ships.

    They are the test part of the UCI data of Alpaydin and Kaynak 1998; its training part is by 30 other writers.
    """

    name: str = option("digits", "registered name")
    holdout: float = option(
        0.2, "fraction of the data held out of training, for the metrics", above=0, below=1
    )

    def spec(self) -> Spec:
        return Spec(shape=(1, 8, 8), classes=10)

    def load(self, seed: int) -> Data:
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        # [N, 64] in 0..16 to [N, 1, 8, 8] in [-1, 1]
        x = torch.from_numpy(np.asarray(pixels, dtype=np.float32)).div(8.0).sub(1.0).reshape(-1, 1, 8, 8)
        y = torch.from_numpy(labels.astype(np.int64))
        return Data(self.spec(), *split(x, y, self.holdout, seed))
