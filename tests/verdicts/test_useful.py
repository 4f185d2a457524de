"""``gantrain useful RUN``."""

import json
from pathlib import Path

import pytest
from PIL import Image
from refusals import check_refusal

from gantrain.cli.main import main
from gantrain.features.tools import classifier
from gantrain.verdicts.useful import arms

SHORT = ("train.steps=2", "metric=fast", "train.evaluate_every=0", "model.width=4")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A run on digits by class and one without, and one on a table of two classes."""
    folder = tmp_path_factory.mktemp("runs")
    rows = "".join(f"{i % 7},{i % 5},{'ab'[i % 2]}\n" for i in range(200))
    (folder / "table.csv").write_text("height,weight,kind\n" + rows)
    table = ("dataset=table", f"dataset.path={folder / 'table.csv'}", "dataset.label=kind")
    for name, words in {
        "digits": ("model.condition=concat", *SHORT),
        "free": ("model.condition=none", *SHORT),
        "table": (*table, "objective=conditional", "train.batch_size=32", *SHORT[:-1]),
    }.items():
        assert main([*words, f"run.dir={folder / name}"]) == 0
    return folder


@pytest.mark.parametrize("name", ["digits", "table"])
def test_useful_writes_table_verdict_picture_and_result(runs, run_cli, monkeypatch, name):
    monkeypatch.setattr(classifier, "STEPS", 2)
    monkeypatch.setattr(arms, "TREES", 2)
    code, out, error = run_cli("useful", runs / name, "few=5", "n=40")
    assert code == 0, error
    assert "5 classifiers an arm, 40 synthetic samples" in out
    assert sum(line.startswith("verdict    ") for line in out.splitlines()) == 2
    found = json.loads((runs / name / "useful-000002.json").read_text())
    assert [case["rare"] is None for case in found["cases"]] == [True, False]
    compared = found["cases"][1]["arms"]
    assert len(compared) == (4 if name == "digits" else 3)
    for arm in compared.values():
        assert all(
            one["low"] <= one["value"] <= one["high"] for one in (arm["accuracy"], *arm["recall"].values())
        )
    with Image.open(runs / name / "figures" / "useful.png") as picture:
        assert picture.width > 500


@pytest.mark.parametrize(
    ("name", "words", "named"),
    [
        ("free", (), ("no classes", "model.condition=projection")),
        ("digits", ("rare=10",), ("there is no class 10", "0 to 9")),
        ("digits", ("seeds=2",), ("seeds", "5")),
        ("digits", ("sedes=6",), ("sedes", "seeds")),
    ],
)
def test_useful_refuses_in_one_line(runs, run_cli, name, words, named):
    check_refusal(*run_cli("useful", runs / name, *words, "out=refused.json"), 2, named)
    assert not Path("refused.json").exists()
