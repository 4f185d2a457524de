"""Train one short run of each kind with what is installed, and use its folder with each verb: python .ci/kinds.py.

Each choice of each config group is trained for two steps by the command that its first line shows. Folders are written
under the working folder. What fails is named at the end, and the exit code is 1.
"""

import shlex
import sys
import traceback
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from subprocess import PIPE, Popen

import numpy as np
import pandas
from PIL import Image

import gantrain
from gantrain.cli.main import main
from gantrain.core.groups import choices

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from idx_files import write_idx

GROUPS = ("dataset", "model", "objective", "penalty", "noise", "augment", "optimizer", "metric")
SHORT = ("debug=tiny", "train.steps=2", "device=cpu", "metric.n=60")
DOWNLOADS = ("cifar10",)  # its files have a check sum, so that none can be made here
SWEEP = ("-m", "dataset=ring", *SHORT, "metric=js")
SERVER_SECONDS = 120


def make_data(has_extras: bool) -> None:
    """Write a table, pictures, and digits in MNIST's form."""
    rng = np.random.default_rng(0)
    np.savetxt("numbers.csv", rng.normal(size=(600, 3)), delimiter=",", header="a,b,c", comments="")
    if has_extras:
        pandas.read_csv("numbers.csv").to_parquet("numbers.parquet")
    for name in ("MNIST", "FashionMNIST"):
        write_idx(Path("data", name, "raw"), 200, 100)
    Path("pictures").mkdir()
    for i in range(200):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(f"pictures/{i}.png")
    if has_extras:
        from datasets import Dataset  # a library of the extras
        from datasets import Image as Picture

        pictures = sorted(map(str, Path("pictures").iterdir()))
        Dataset.from_dict({"image": pictures}).cast_column("image", Picture()).save_to_disk("saved")


def words_of(group: str, choice: str) -> list[str]:
    """Return the ``key=value`` words of the command that a choice's first line shows."""
    command = choices(group)[choice].rpartition(": gantrain")[2]
    words = [word for word in shlex.split(command) if "=" in word]
    words = [word for word in words if word.partition("=")[0] not in ("dataset.root", "dataset.path")]
    if group not in [word.partition("=")[0] for word in words]:  # a verb's command, or a default
        words.append(f"{group}={choice}")
    files = {"image_folder": "dataset.root=pictures", "table": "dataset.path=numbers.csv"}
    return words + [where for name, where in files.items() if f"dataset={name}" in words]


def runs() -> Iterator[list[str]]:
    """Yield the words of a run for each choice."""
    for group in GROUPS:
        for choice in choices(group):
            if choice not in DOWNLOADS:
                yield [*words_of(group, choice), *SHORT, f"run.dir={group}_{choice}"]


def uses() -> Iterator[list[str]]:
    """Yield a command for each use of a run, and for the ways to start several."""
    yield ["train", *SHORT, "run.dir=digits"]
    yield ["resume", "digits", "train.steps=4"]
    for out in ("grid.png", "loop.gif", "samples.npz"):
        yield ["sample", "digits", "n=16", f"out={out}", *["interpolate=3"] * (out == "loop.gif")]
    yield ["sample", "dataset_table", "n=20", "out=rows.csv"]
    yield ["evaluate", "digits", "metric=full", "metric.n=60"]
    yield ["export", "digits", "out=g.pt2"]
    yield ["report", "digits", "out=page.html"]
    yield ["show", "digits"]
    yield ["list"]
    yield ["completion", "bash"]
    yield ["doctor"]
    yield [*SWEEP, "seed=0,1", "run.dir=grid"]
    yield ["compare", "grid", "out=table.csv"]
    yield ["resume", "grid"]


def uses_of_extras() -> Iterator[list[str]]:
    """Yield a command for each use of an optional library."""
    yield ["train", *SHORT, "run.dir=digits"]
    yield [*SWEEP, "seed=0,1", "hydra/launcher=joblib", "run.dir=joblib"]
    yield [*SWEEP, "seed=0,1", "hydra/launcher=submitit_local", "run.dir=submitit"]
    yield [*SWEEP, "seed=0,1", "hydra/launcher=ray", "run.dir=ray"]
    yield ["sweep=optuna", "hydra.sweeper.n_trials=2", *SWEEP[1:-1], "run.dir=optuna"]
    yield ["export", "digits", "out=g.onnx"]
    yield ["dataset=table", "dataset.path=numbers.parquet", *SHORT, "run.dir=table"]
    yield ["dataset=hub", "dataset.root=saved", "dataset.resolution=8", *SHORT, "run.dir=hub"]


def serve() -> None:
    """Start TensorBoard and read its page."""
    with Popen([sys.executable, "-m", "gantrain", "tensorboard", "digits"], stdout=PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split("?")[0].strip()
            for _ in range(SERVER_SECONDS):
                try:
                    assert b"TensorBoard" in urllib.request.urlopen(url).read()
                    return
                except OSError:
                    Popen(["sleep", "1"]).wait()
            raise TimeoutError(url)
        finally:
            server.terminate()


def from_python() -> None:
    """Train and sample by the functions of the package."""
    run = gantrain.train(["dataset=ring", *SHORT, "run.dir=python"])
    assert run.sample(3).shape == (3, 2)
    assert len(run.history())


def failures(calls: Iterable[tuple[str, Callable[[], object]]]) -> Iterator[str]:
    """Make the calls, and yield the names of those that fail, each with its reason."""
    for name, call in calls:
        print(f"$ {name}", flush=True)
        try:
            if code := call():
                yield f"{name}: exit code {code}"
        except Exception as error:
            traceback.print_exc()
            yield f"{name}: {error}"


if __name__ == "__main__":
    has_extras = sys.argv[1:] == ["extras"]
    make_data(has_extras)
    commands = [*uses_of_extras()] if has_extras else [*runs(), *uses()]
    calls = [(shlex.join(["gantrain", *words]), partial(main, words)) for words in commands]
    calls += [] if has_extras else [("gantrain tensorboard digits", serve), ("gantrain.train", from_python)]
    failed = list(failures(calls))
    print(f"{len(failed)} of {len(calls)} kinds failed", *failed, sep="\n  ")
    sys.exit(bool(failed))
