"""Perceptual path length is that of torch-fidelity, and runs on verified weights alone."""

import hashlib

import numpy as np
import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.errors import DataError
from gantrain.metrics import path_length
from gantrain.metrics.base import RunSpec
from gantrain.metrics.path_length import EPSILON, FILES, PathLength, lpips, path_lengths
from gantrain.training.evaluate import evaluation_mode, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState


def squares(a, b):
    return (a.double() - b.double()).square().mean((1, 2, 3))


@pytest.fixture
def scene():
    config = resolve(composed("device=cpu", "model.width=4", "metric.n=80"))
    data, runtime = config.dataset.load(config.seed), Runtime(config.device)
    return view(config, data, TrainState.create(config, data.spec, runtime), runtime)


def test_path_length_is_the_definition(scene, monkeypatch):
    monkeypatch.setattr(path_length, "EPSILON", 0.5)  # so that bytes differ
    monkeypatch.setattr(path_length, "lpips", lambda device: squares)
    game = scene.game
    start, end = (game.latents(80, f"path {side}") for side in ("start", "end"))
    with evaluation_mode(scene):
        a, b = (
            game.G(z).add(1).mul(127.5).round().clamp(0, 255) for z in (start, start + 0.5 * (end - start))
        )
        found = PathLength()(scene)["generator/path_length"]
        assert path_lengths(scene, squares).numpy() == pytest.approx((squares(a, b) / 0.25).numpy(), rel=1e-9)
    each = np.sort((squares(a, b) / 0.25).numpy())
    assert each[0] > 0
    # As torch-fidelity: of 80 values the lowest hundredth ends at the first, the highest begins at the last.
    assert found == pytest.approx(each.mean(), rel=1e-9)
    assert found.error == pytest.approx(each.std(ddof=1) / 80**0.5, rel=1e-9)


def test_weights_are_verified_before_they_are_opened(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    run = RunSpec(Spec((3, 8, 8)))
    assert "download https://download.pytorch.org/models/vgg16-397923af.pth" in PathLength().why_unsupported(
        run
    )
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    for url in FILES:
        (folder / url.rpartition("/")[2]).write_bytes(b"other")
    assert PathLength().why_unsupported(run) is None
    assert "not images" in PathLength().why_unsupported(RunSpec(Spec((2,))))
    with pytest.raises(DataError, match=hashlib.sha256(b"other").hexdigest()[:12]):
        lpips(torch.device("cpu"))


def test_its_defaults_are_those_of_torch_fidelity():
    from torch_fidelity.defaults import DEFAULTS
    from torch_fidelity.sample_similarity_lpips import URL_VGG16_LPIPS

    assert DEFAULTS["ppl_epsilon"] == EPSILON
    discarded = tuple(DEFAULTS[f"ppl_discard_percentile_{end}"] for end in ("lower", "higher"))
    assert discarded == path_length.PERCENTILES
    assert DEFAULTS["ppl_sample_similarity_resize"] == 64
    assert URL_VGG16_LPIPS in FILES
