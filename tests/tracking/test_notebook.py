"""A notebook's cell while a run trains: one place for the bar, one for the pictures, and nothing without a notebook."""

import sys
import types

import pytest

import gantrain
from gantrain.tracking.notebook import CellPicture, in_notebook

RING = [
    "dataset=ring",
    "dataset.n=300",
    "dataset.n_holdout=100",
    "model.width=8",
    "train.batch_size=32",
    "device=cpu",
]


class Handle:
    """A place in a cell, which remembers what it has shown."""

    def __init__(self, first):
        self.shown = [first]

    def update(self, content, raw=False):
        self.shown.append(content)


@pytest.fixture
def cell(monkeypatch):
    """The output of a cell as a list of its places; IPython itself is not installed here."""
    places = []

    def display(content, display_id, raw=False):
        places.append(Handle(content))
        return places[-1]

    package = types.ModuleType("IPython")
    package.version_info = (9, 18, 1)  # which matplotlib reads
    package.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    package.display = types.ModuleType("IPython.display")
    package.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", package.display)
    return places


def test_notebook_is_a_process_with_a_kernel_of_ipython(cell, monkeypatch):
    assert in_notebook()
    monkeypatch.setattr(
        sys.modules["IPython"], "get_ipython", lambda: types.SimpleNamespace()
    )  # its terminal
    assert not in_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not in_notebook()


def test_cell_shows_the_bar_and_the_pictures_while_a_run_trains(cell, tmp_path, capfd):
    words = [
        "train.steps=8",
        "train.log_every=2",
        "train.sample_every=4",
        "train.evaluate_every=4",
        "metric=js",
    ]
    gantrain.train([*RING, *words, "metric.n=50", f"run.dir={tmp_path / 'run'}"])
    bar, pictures = cell
    assert "8/8" in bar.shown[-1]["text/plain"]
    assert "js" in bar.shown[-1]["text/plain"]
    assert all(line["text/plain"].strip() for line in bar.shown)
    assert len(pictures.shown) >= 2  # the first evaluation, and the end
    assert len({image.size for image in pictures.shown}) == 1
    assert pictures.shown[0].tobytes() != pictures.shown[-1].tobytes()
    printed = capfd.readouterr()
    assert "step 8 of 8" not in printed.err  # the bar shows it
    assert "TqdmWarning" not in printed.err
    assert (
        "tqdm.auto" not in sys.modules or "optuna" in sys.modules
    )  # which warns in a notebook without ipywidgets


def test_cell_picture_takes_a_small_share_of_the_time(cell, tmp_path, monkeypatch):
    now = [0.0]

    def draw(run):
        now[0] += 1.0  # a picture that takes a second
        return now[0]

    monkeypatch.setattr("gantrain.tracking.notebook.time.perf_counter", lambda: now[0])
    picture, took = CellPicture(draw), 0
    for _ in range(1000):
        before = now[0]
        picture.update(tmp_path)
        took += now[0] - before
        now[0] += 0.5
    assert 0.04 < took / now[0] <= 0.052
    picture.update(tmp_path, force=True)
    assert cell[0].shown[-1] == now[0]
