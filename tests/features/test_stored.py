"""Features of real samples are found again by their content, and by nothing else."""

import os
import time
from functools import partial

import pytest
import torch
from small_features import SmallPublished

from gantrain.core.files import cache_home
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.features.pixels import Pixels
from gantrain.features.tools import stored
from gantrain.features.tools.stored import stored_features
from gantrain.metrics.base import Evaluation
from gantrain.metrics.suite import Suite

X = torch.rand(40, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Return the sizes of what was computed, and what computes it; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return []


def scene(x=X, source=None) -> Evaluation:
    data = Data(Spec((3, 4, 4)), Split(x), Split(x))
    return Evaluation(
        data,
        Suite(n=len(x)),
        torch.device("cpu"),
        0,
        substitute=(x, None),
        feature_source=source or SmallPublished(),
    )


def test_real_features_are_computed_once(calls):
    extractor = SmallPublished().load(scene().data)

    def compute(x):
        calls.append(len(x))
        return extractor(x).double()

    first = stored_features(extractor, [X], partial(compute, X))
    assert stored_features(extractor, [X], partial(compute, X)).double().equal(first)
    assert calls == [40]
    stored_features(extractor, [X[:12], X[12:20]], partial(compute, X[:20]))
    changed = X.clone()
    changed[3, 0, 0, 0] += 1e-6
    stored_features(extractor, [changed], partial(compute, changed))
    assert calls == [40, 20, 40]
    extractor.protocol = {**extractor.protocol, "sha256": "1" * 64}
    stored_features(extractor, [X], partial(compute, X))
    assert calls == [40, 20, 40, 40]


def test_damaged_files_are_computed_again(calls):
    extractor = SmallPublished().load(scene().data)
    expected = stored_features(extractor, [X], lambda: extractor(X))
    (path,) = cache_home().glob("features-*")
    for content in (path.read_bytes()[:-9], b"", b"{}" * 50):
        path.write_bytes(content)
        assert stored_features(extractor, [X], lambda: extractor(X)).equal(expected)


def test_evaluations_cache_the_real_side_of_published_networks(calls, monkeypatch):
    real, fake = scene().features_of_sides
    assert real.dtype == fake.dtype == torch.float64
    assert len(list(cache_home().glob("features-*"))) == 1
    again = scene()
    assert again.features_of_sides[0].equal(real)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    assert real.allclose(fake[order], atol=1e-6)
    assert scene(source=Pixels()).features_of_sides[0].shape == (40, 48)
    assert len(list(cache_home().glob("features-*"))) == 1


def test_features_unused_for_longest_are_deleted(calls, monkeypatch):
    extractor, names = SmallPublished().load(scene().data), []
    for i, age in enumerate((20, 30, 10, 0)):
        known = set(cache_home().glob("features-*"))
        stored_features(extractor, [X + i], partial(extractor, X + i))
        (path,) = set(cache_home().glob("features-*")) - known
        os.utime(path, (time.time() - age,) * 2)
        names.append(path)
        monkeypatch.setattr(stored, "CACHE_BYTES", int(3.5 * path.stat().st_size))
    assert {path for path in names if path.exists()} == {names[0], names[2], names[3]}
