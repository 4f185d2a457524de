"""The runs: each of a kind of data, with a fault by words or by a change of its data or networks, or healthy."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IMAGES = "metric.n=200 optimizer.g_lr=RATE optimizer.d_lr=RATE"
CONVOLUTIONS = f"{IMAGES} model=dcgan model.width=8"
POINTS = "model.width=64 train.batch_size=128 metric.n=400 dataset.n=20000 dataset.n_holdout=2000"
POINTS += " optimizer.g_lr=RATE optimizer.d_lr=RATE"
QUIET = "device=cpu device.threads=1 train.ema=0.99 train.sample_every=0 train.checkpoint_every=0"
QUIET += " metric.names=[js,prdc,modes]"
PHOTOS = 100  # of each class


@dataclass(frozen=True)
class Kind:
    """A kind of data: the words of its runs, their length and learning rate."""

    words: str
    steps: int
    rate: float


KINDS = {
    "digits": Kind(f"dataset=digits {CONVOLUTIONS}", 600, 2e-3),
    "ring": Kind(f"dataset=ring dataset.std=0.1 {POINTS}", 1000, 1e-3),
    "grid": Kind(f"dataset=grid dataset.std=0.3 penalty=r1 {POINTS}", 1000, 3e-3),
    "spiral": Kind(f"dataset=spiral {POINTS}", 1000, 1e-3),
    "gaussian": Kind(f"dataset=gaussian_mixture {POINTS}", 1000, 1e-3),
    "mnist": Kind(f"dataset=mnist dataset.root=DATA {IMAGES} model=mlp model.width=64", 500, 1e-3),
    "mnist by convolutions": Kind(
        f"dataset=mnist dataset.root=DATA {CONVOLUTIONS} train.batch_size=32 penalty=r1", 600, 2e-3
    ),
    "photos": Kind(
        f"dataset=image_folder dataset.root=PHOTOS dataset.resolution=8 penalty=r1 {CONVOLUTIONS}",
        600,
        1e-3,
    ),
}
CONDITIONAL = "model.condition=concat"


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        words: What puts it into a run.
        names: Of the findings that are right for it.
        change: What puts it into the data or networks where no word does.
        share: Of the run that is played: a twentieth where the config or the data alone show it.
        data: The kinds of data that can have it.
    """

    words: str
    names: tuple[str, ...]
    change: str = ""
    share: float = 0.2
    data: tuple[str, ...] = ("digits", "ring", "mnist", "photos")


CERTAIN = 0.05
PICTURES = ("digits", "mnist", "photos")
FAULTS = {
    "G frozen": Fault("optimizer.g_lr=0", ("G frozen",), share=CERTAIN),
    "D frozen": Fault("optimizer.d_lr=0", ("D frozen",), share=CERTAIN),
    "D far too slow": Fault("optimizer.d_lr=1e-7", ("D rate too low",)),
    "both far too slow": Fault("optimizer.g_lr=1e-7 optimizer.d_lr=1e-7", ("D and G rates too low",)),
    "G's rate times 100": Fault("optimizer.g_lr=100*RATE", ("G's rate too high",)),
    "D's rate times 100": Fault("optimizer.d_lr=100*RATE", ("D's rate too high",)),
    "rates end too early": Fault(
        "optimizer.schedule=linear optimizer.horizon=STEPS/20", ("rates ended",), share=CERTAIN
    ),
    "beta1 0.99": Fault("optimizer.beta1=0.99", ("beta1 too high",), share=CERTAIN),
    "batch of 2": Fault("train.batch_size=2", ("batch too small",), share=CERTAIN),
    "labels flipped": Fault("noise.label_flip=0.48", ("labels random",), share=CERTAIN),
    "noise on all": Fault("noise.instance_std=20", ("noise too strong",), share=CERTAIN),
    "gamma times 1000": Fault("penalty=r1 penalty.gamma=1000", ("penalty too strong",)),
    "average too slow": Fault("train.ema_half_life=1e8", ("average too slow",), share=CERTAIN),
    "average off": Fault("train.ema=0", ("average off",), share=CERTAIN),
    "all labels one class": Fault(CONDITIONAL, ("one class",), "one class", share=CERTAIN),
    "a class of 3": Fault(CONDITIONAL, ("classes unequal",), "unequal", share=CERTAIN),
    "labels shuffled": Fault(CONDITIONAL, ("labels wrong",), "shuffled", share=CERTAIN),
    "wrong pairs accepted": Fault(CONDITIONAL, ("condition ignored by D",), "blind D"),
    "data in 0-255": Fault("", ("data out of range",), "bytes", data=PICTURES, share=CERTAIN),
    "data in [0, 1]": Fault("", ("data in half the range",), "unit", data=PICTURES, share=CERTAIN),
    "a column times 1000": Fault(
        "", ("columns of unequal scale",), "column", data=("ring", "spiral"), share=CERTAIN
    ),
    "30 samples repeated": Fault("", ("training data repeated",), "repeated", share=CERTAIN),
    "50 training samples": Fault(
        "train.batch_size=32", ("too few training samples",), "50 samples", share=CERTAIN
    ),
    "5 held-out samples": Fault("", ("too few held-out samples",), "5 held out", share=CERTAIN),
    "overfitted D": Fault("", ("D memorises",), "memory"),
    "augmentation leaks": Fault(
        "augment=ada augment.p=1 augment.target=null", ("augmentation leaks",), data=PICTURES
    ),
    "checkerboard": Fault("", ("checkerboard",), "checkerboard", data=PICTURES),
    "collapse": Fault("model.source=dropout model.dropout=1e-4", ("collapse", "modes missing")),
    "partial collapse": Fault("", ("collapse", "modes missing"), "codes"),
    "D ahead": Fault(
        "objective=minimax penalty=none train.d_steps=5 optimizer.g_lr=RATE/50",
        ("generator gradient vanished", "D perfect"),
    ),
}
# Healthy runs: a kind of data, and further words.
HEALTHY = (
    ("digits", ""),
    ("digits", "objective=hinge"),
    ("digits", "objective=least_squares"),
    ("digits", "penalty=r1"),
    ("digits", f"{CONDITIONAL}"),
    ("digits", "augment=diffaugment"),
    ("digits", "objective=relativistic penalty=r1r2"),
    ("digits", "objective=wasserstein penalty=wgan_gp optimizer.beta2=0.9"),
    ("digits", "noise.instance_std=0.1"),
    ("digits", "optimizer=adam_no_momentum"),
    ("ring", ""),
    ("ring", "objective=hinge penalty=r1"),
    ("ring", f"{CONDITIONAL}"),
    ("ring", "model.packing=2"),
    ("grid", ""),
    ("grid", "objective=relativistic"),
    ("spiral", ""),
    ("gaussian", ""),
    ("mnist by convolutions", ""),
    ("photos", ""),
)


@dataclass(frozen=True)
class Case:
    """One run."""

    fault: str  # empty for a healthy run
    data: str
    words: str
    seed: int

    def overrides(self, data_root: Path, photos: Path) -> list[str]:
        """Return the run's override words but for its seed."""
        kind = KINDS[self.data]
        rates = {"100*RATE": 100 * kind.rate, "RATE/50": kind.rate / 50, "RATE": kind.rate}
        text = f"{kind.words} {QUIET} train.steps=STEPS {self.words}"
        text += f" train.log_every={kind.steps // 20} train.evaluate_every={kind.steps // 6}"
        for word, number in rates.items():
            text = text.replace(word, f"{number:g}")
        text = text.replace("STEPS/20", str(kind.steps // 20)).replace("STEPS", str(kind.steps))
        return text.replace("DATA", str(data_root)).replace("PHOTOS", str(photos)).split()


def all_cases(seeds: range) -> Iterator[Case]:
    """Yield the runs, seed by seed."""
    for seed in seeds:
        for fault, of in FAULTS.items():
            for data in of.data:
                yield Case(fault, data, of.words, seed)
        for data, words in HEALTHY:
            yield Case("", data, words, seed)


def write_photos(archive: Path, folder: Path) -> Path:
    """Take the first photos of each class from CIFAR-10's archive, once."""
    with zipfile.ZipFile(archive) as source:
        for name in source.namelist():
            parts = name.split("/")
            if len(parts) == 3 and parts[2].endswith(".jpg") and int(parts[2][:4]) < PHOTOS:
                target = folder / parts[1] / parts[2]
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(source.read(name))
    return folder
