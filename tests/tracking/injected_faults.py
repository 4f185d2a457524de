"""Twelve faults that are put into short runs on four kinds of data, and healthy runs of the same kinds."""

from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np
from composed import composed
from PIL import Image
from sklearn.datasets import load_digits

from gantrain.config.resolve import resolve
from gantrain.errors import Diverged
from gantrain.tracking.health.check import Health
from gantrain.tracking.health.vitals import Subject
from gantrain.training import housekeeping
from gantrain.training.run import run

IMAGES = "model=dcgan model.width=8 train.steps=400 train.evaluate_every=100 metric.n=300"
IMAGES += " optimizer.g_lr=2e-3 optimizer.d_lr=2e-3"
POINTS = (
    "model.width=64 train.batch_size=128 train.steps=1000 train.evaluate_every=250 metric=fast metric.n=500"
)
POINTS += " dataset.n=20000 dataset.n_holdout=2000"
GREY = "dataset.channels=1 penalty=none"
DATA = {
    "digits": f"dataset=digits {IMAGES}",
    "ring": f"dataset=ring dataset.std=0.1 {POINTS}",
    "grid": f"dataset=grid dataset.std=0.3 penalty=r1 {POINTS} optimizer.g_lr=3e-3 optimizer.d_lr=3e-3",
    "folder": f"dataset=image_folder dataset.root=PICTURES dataset.resolution=8 {GREY} dataset.holdout=0.2 {IMAGES}",
}
QUIET = "device=cpu train.ema=0.99 train.sample_every=0 train.checkpoint_every=0 train.log_every=25"

# Each fault: the words that put it into a run, and the name that it should get. RATE is the run's own.
FAULTS = {
    "G frozen": ("optimizer.g_lr=0", "G frozen"),
    "D frozen": ("optimizer.d_lr=0", "D frozen"),
    "G's rate times 100": ("optimizer.g_lr=100*RATE", "G's rate too high"),
    "D's rate times 100": ("optimizer.d_lr=100*RATE", "D's rate too high"),
    "both rates tiny": ("optimizer.g_lr=1e-7 optimizer.d_lr=1e-7", "D and G rates too low"),
    "D's rate tiny": ("optimizer.d_lr=1e-7", "D rate too low"),
    "labels flipped": ("noise.label_flip=0.48", "labels random"),
    "noise on all": ("noise.instance_std=20", "noise too strong"),
    "G without noise": ("model.source=dropout model.dropout=1e-4", "collapse"),
    "50 training samples": ("TRAIN=50", "too few training samples"),
    "5 held-out samples": ("HOLDOUT=5", "too few held-out samples"),
    "D ahead": (
        "objective=minimax penalty=none train.d_steps=5 optimizer.g_lr=RATE/50",
        "generator gradient vanished",
    ),
}
CERTAIN = ("G frozen", "D frozen", "50 training samples", "5 held-out samples")  # seen at once
ALSO_RIGHT = {"collapse": {"modes missing"}, "generator gradient vanished": {"D perfect"}}


def write_pictures(folder: Path) -> Path:
    """Write the digits mirrored along the diagonal and black on white, as a folder of PNGs."""
    folder.mkdir(parents=True)
    for i, digit in enumerate(load_digits().images):
        Image.fromarray((255 - digit.T * 255 / 16).astype(np.uint8)).save(folder / f"{i:04d}.png")
    return folder


def words_of(data: str, fault: str | None, pictures: Path, seed: int) -> list[str]:
    """Return the override words of a run."""
    base = DATA[data].replace("PICTURES", str(pictures)).split()
    rate = {"grid": 3e-3, "ring": 1e-3}.get(data, 2e-3)
    added = FAULTS[fault][0].split() if fault else []
    split = {"TRAIN": "dataset.n=50", "HOLDOUT": "dataset.n_holdout=5"}
    if data in ("digits", "folder"):
        split = {"TRAIN": f"dataset.holdout={1 - 50 / 1797}", "HOLDOUT": f"dataset.holdout={5 / 1797}"}
    words = []
    for word in added:
        key, _, value = word.partition("=")
        if key in split:
            words += [split[key], "train.batch_size=32"]
        else:
            value = value.replace("100*RATE", f"{100 * rate:g}").replace("RATE/50", f"{rate / 50:g}")
            words.append(f"{key}={value}")
    if fault == "D ahead":
        words += ["train.steps=200", "train.evaluate_every=50"]
    if fault in CERTAIN:
        words += ["train.steps=60", "train.evaluate_every=20"]
    return [*base, *QUIET.split(), *words, f"seed={seed}"]


def findings(words: Sequence[str], folder: Path) -> list[str]:
    """Run, and return the names of the findings that stand at its end; of one that diverged, the rate it blames."""
    made: list[Health] = []

    class Kept(Health):
        """Health of the run below."""

        def __init__(self, *subject: Subject) -> None:
            super().__init__(*subject)
            made.append(self)

    with mock.patch.object(housekeeping, "Health", Kept):
        try:
            run(resolve(composed(*words)), folder)
        except Diverged as error:
            return [
                f"{player}'s rate too high"
                for player in "DG"
                if f"optimizer.{player.lower()}_lr" in str(error)
            ]
    return list(made[0].standing)
