"""Train recipes for MNIST, measure the CPU seconds of each, and draw docs/images/mnist_frontier.svg.

    python docs/mnist_frontier.py ID ... [--root=data]    train recipes anew, one thread each
    python docs/mnist_frontier.py                         draw the figure from docs/mnist_frontier.csv

A recipe is a row of the table: a letter, its name, and its words after ``gantrain dataset=mnist``. Its CPU seconds are
those of the whole command: start, training, and the metrics at its end.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from matplotlib.figure import Figure

import gantrain
from gantrain.datasets.mnist import MNIST
from gantrain.features.tools.classifier import predict, shared_classifier

TABLE = Path(__file__).parent / "mnist_frontier.csv"
PICTURE = Path(__file__).parent / "images" / "mnist_frontier.svg"
METRICS = "metric.names=[prdc,nearest,sharpness,frechet,kernel]"
TAGS = {
    "precision": "fidelity/precision",
    "recall": "diversity/recall",
    "density": "fidelity/density",
    "coverage": "diversity/coverage",
    "frechet": "divergence/frechet",
    "kernel": "divergence/kernel",
    "nearest": "fidelity/nearest_distance",
    "sharpness": "fidelity/sharpness",
}
SAMPLES = 2000


def cpu_seconds(words: list[str]) -> float:
    """Return the CPU seconds of a run with one thread."""
    process = subprocess.Popen(["gantrain", *words], env=os.environ | {"OMP_NUM_THREADS": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"gantrain {' '.join(words)} failed")
    return usage.ru_utime + usage.ru_stime


def readings(folder: Path, root: str) -> dict[str, object]:
    """Return the readings of a finished run by column."""
    run = gantrain.load(folder)
    data = MNIST(root=root).load(0)
    classes = predict(shared_classifier(data, torch.device("cpu")), run.sample(SAMPLES, seed=1))
    shares = classes.bincount(minlength=10) / SAMPLES
    values: dict[str, object] = {"images": run.result["images"]}
    values |= {column: round(run.metrics[tag], 3) for column, tag in TAGS.items()}
    return values | {"smallest_class": round(float(shares.min()), 3)}


def train(row: dict[str, str], root: str) -> None:
    """Train a recipe and put its figures into its row."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        words = ["dataset=mnist", *row["words"].split(), METRICS, f"dataset.root={root}", f"run.dir={folder}"]
        row["cpu_seconds"] = f"{cpu_seconds(words):.0f}"
        row.update({column: str(value) for column, value in readings(folder, root).items()})


def draw(rows: list[dict[str, str]]) -> None:
    """Draw coverage against CPU seconds."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for row in rows:
        x, y = float(row["cpu_seconds"]), float(row["coverage"])
        colour, marker = ("tab:orange", "o") if row["labels"] == "yes" else ("tab:blue", "s")
        axes.plot(x, y, marker, color=colour)
        axes.annotate(row["id"], (x, y), xytext=(6, -3), textcoords="offset points")
    axes.plot([], [], "o", color="tab:orange", label="by class")
    axes.plot([], [], "s", color="tab:blue", label="without labels")
    axes.axhline(0.97, color="grey", linestyle=":", label="real against real")
    axes.set(xlabel="CPU seconds, one thread", ylabel="coverage (k = 5, 2,000 samples)", ylim=(0, 1))
    axes.legend(loc="lower right")
    figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    """Train the recipes that are named, then draw all."""
    chosen = [word for word in sys.argv[1:] if not word.startswith("--")]
    root = next((word.removeprefix("--root=") for word in sys.argv if word.startswith("--root=")), "data")
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["id"] in chosen:
            train(row, root)
            with TABLE.open("w", newline="") as file:
                writer = csv.DictWriter(file, rows[0], lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
    draw(rows)


if __name__ == "__main__":
    main()
