"""``gantrain.watch`` in loops that are not gantrain's: three lines, and a run folder that its verbs read."""

import json

import numpy as np
import pytest
import torch

import gantrain
from gantrain.core.run_folder import RunFolder
from gantrain.errors import ConfigError, DataError


def test_a_bare_loop_leaves_a_run_that_show_and_compare_read(run_cli, tmp_path):
    draws = np.random.default_rng(0)
    data = draws.standard_normal((120, 2))
    watch = gantrain.watch(lambda n: draws.standard_normal((n, 2)) + 4, data, every=2, n=40)
    verdicts = [watch(d=0.5, g=1.0) for _ in range(2)]
    folder = watch.close()
    assert verdicts[0] is None
    assert verdicts[1].startswith("They differ")
    result = json.loads(RunFolder(folder).result_file.read_text())
    assert result["verdict"] == verdicts[1]
    rows = [json.loads(line) for line in RunFolder(folder).metrics_file.read_text().splitlines()]
    assert rows[-1]["step"] == 2
    assert rows[-1]["loss/d"] == 0.5
    assert 0.3 < rows[-1]["divergence/js_refit"] < 0.6932
    code, page, error = run_cli("show", folder)
    assert code == 0, error
    assert verdicts[1] in page
    code, table, error = run_cli("compare", folder, "out=table")
    assert code == 0, error
    assert "divergence/js_refit" in table
    code, _, error = run_cli("report", folder)
    assert code == 0, error


@pytest.mark.slow
def test_pictures_of_torch_tensors_are_read_and_shown(tmp_path):
    draws = torch.Generator().manual_seed(0)
    data = torch.rand(60, 1, 8, 8, generator=draws)
    watch = gantrain.watch(lambda n: torch.rand(n, 1, 8, 8) / 2, data, every=1, n=40, folder=tmp_path / "run")
    with torch.no_grad():
        assert watch().startswith("They differ")
    assert len(RunFolder(watch.close()).pictures) == 1


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (np.zeros((40, 2)), {"every": 0}, ConfigError, "every: is 0"),
        (np.zeros((40, 2)), {"n": 3}, ConfigError, "n: is 3"),
        (np.full((40, 2), np.nan), {}, DataError, "not finite"),
        (np.zeros((40, 2), object), {}, DataError, "of object"),
        (np.full((40, 8, 8), 3.0), {}, DataError, "neither in"),
    ],
)
def test_what_cannot_be_watched_is_refused_at_once(tmp_path, data, options, error, message):
    with pytest.raises(error, match=message):
        gantrain.watch(lambda n: data[:n], data, folder=tmp_path / "run", **options)


def test_samples_of_another_shape_are_refused(tmp_path):
    watch = gantrain.watch(lambda n: np.zeros((n, 3)), np.zeros((40, 2)), every=1, folder=tmp_path / "run")
    with pytest.raises(DataError, match="the data are N x"):
        watch()
