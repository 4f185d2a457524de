"""``RUN@best`` and ``RUN@STEP`` name a checkpoint, or the checkpoints that there are."""

import json

import pytest

from gantrain.core.run_address import names, path_of
from gantrain.core.run_folder import RunFolder
from gantrain.errors import CheckpointError


@pytest.fixture
def run(tmp_path):
    """A run with three checkpoints, the second of which is the best."""
    folder = tmp_path / "a run"
    for step in (500, 900, 1000):
        path = folder / "checkpoints" / f"{step:06d}"
        path.mkdir(parents=True)
        best = {"tag": "divergence/frechet", "step": min(step, 900), "value": 3.5}
        (path / "state.json").write_text(json.dumps({"step": step, "best": best}))
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("word", ["best", "900", "0900", "000900"])
def test_address_of_a_checkpoint_is_its_folder(run, word):
    assert path_of(f"{run}@{word}") == run / "checkpoints" / "000900"
    assert path_of(f"{run}/@{word}") == run / "checkpoints" / "000900"


def test_path_without_an_address_stays_as_it_is(run, tmp_path):
    (named := tmp_path / "x@best").mkdir()
    (tmp_path / "x").mkdir()
    for path in (run, named, tmp_path / "absent@best", tmp_path / "me@here" / "run"):
        assert path_of(str(path)) == path


@pytest.mark.parametrize("word", ["700", "last", "", "-1", "9" * 5000, "٩٠٠", "best "])
def test_address_of_no_checkpoint_lists_those_there_are(run, word):
    with pytest.raises(CheckpointError, match=r"there are 500, 1000, best .step 900.$") as raised:
        path_of(f"{run}@{word}")
    if word == "700":
        assert raised.value.what == "has no checkpoint of step 700"


def test_address_of_a_run_without_a_best_one_says_how_to_keep_it(run):
    for state in run.glob("checkpoints/*/state.json"):
        state.write_text('{"step": 1}')
    assert names(RunFolder(run)) == ["500", "900", "1000"]
    with pytest.raises(
        CheckpointError, match=r"has no best checkpoint; there are 500, 900, 1000; .*train.keep_best"
    ):
        path_of(f"{run}@best")


@pytest.mark.parametrize(
    "best", ["best", 900, {"step": "../../x"}, {"tag": 1, "step": 900, "value": 1.0}, [], None]
)
def test_address_of_a_forged_best_is_refused(run, best):
    (run / "checkpoints" / "001000" / "state.json").write_text(json.dumps({"best": best}))
    with pytest.raises(CheckpointError, match="has no best checkpoint"):
        path_of(f"{run}@best")


def test_address_of_a_best_that_was_removed_is_refused(run):
    (run / "checkpoints" / "000900" / "state.json").unlink()
    with pytest.raises(
        CheckpointError, match=r"its best checkpoint, of step 900, is not there; there are 500, 1000$"
    ):
        path_of(f"{run}@best")


def test_address_of_no_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="is not a run"):
        path_of(f"{tmp_path}@best")
