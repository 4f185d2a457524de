"""The scores of papers equal those that torch-fidelity computes of the same pictures by the same network."""

import pytest
import torch
from small_features import WIDTH, Small, SmallPublished
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics, register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from gantrain.core.spec import Spec
from gantrain.datasets.base import Data, Split
from gantrain.metrics.base import Evaluation, RunSpec
from gantrain.metrics.suite import Suite
from gantrain.metrics.torch_fidelity import TorchFidelity

N = 300
KEYS = (
    "frechet_inception_distance",
    "kernel_inception_distance_mean",
    "kernel_inception_distance_std",
    "precision",
    "recall",
    "inception_score_mean",
    "inception_score_std",
)


class Theirs(FeatureExtractorBase):
    def __init__(self, name, features_list, **kwargs):
        super().__init__(name, features_list)
        self.small = Small(192)

    @staticmethod
    def get_provided_features_list():
        return "features", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "logits" if metric == "isc" else "features"

    def forward(self, x):
        features = self.small(samples_of(x))
        found = {"features": features, "logits": self.small.logits(features)}
        return tuple(found[name] for name in self.features_list)


class Pictures(Dataset):
    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i]


def samples_of(pictures):
    return pictures.float() / 127.5 - 1


def test_scores_are_those_of_torch_fidelity():
    draws = torch.Generator().manual_seed(1)
    real, fake = (torch.randint(0, top, (N, 3, 8, 8), generator=draws).byte() for top in (256, 230))
    register_feature_extractor("small", Theirs)
    kinds = dict.fromkeys(("fid", "kid", "prc", "isc"), True)
    options = {"cuda": False, "cache": False, "verbose": False, "save_cpu_ram": True, "kid_subset_size": N}
    inputs = {"input1": Pictures(fake), "input2": Pictures(real), "feature_extractor": "small"}
    expected = calculate_metrics(**inputs, **kinds, **options)
    data = Data(Spec((3, 8, 8)), Split(real), Split(real))
    sides = {"substitute": (samples_of(fake), None), "reference": (samples_of(real), None)}
    scene = Evaluation(data, Suite(n=N), torch.device("cpu"), 0, feature_source=SmallPublished(), **sides)
    found = TorchFidelity()(scene)
    assert tuple(found) == TorchFidelity.tags
    for tag, key in zip(TorchFidelity.tags, KEYS, strict=True):
        assert found[tag] == pytest.approx(expected[key], rel=1e-6, abs=1e-6), tag
    assert found["divergence/fid"] > 0.5
    protocol = TorchFidelity().protocol(scene)
    assert protocol["kid"] == "100 subsets of 300, (x.y/d + 1)^3, unbiased"


def test_published_scores_need_a_published_network():
    assert "features=inception" in TorchFidelity().why_unsupported(RunSpec(Spec((3, 8, 8)), n=10_000))


def test_floors_of_fewer_samples_than_dimensions_have_no_fid():
    x = samples_of(torch.randint(0, 256, (WIDTH, 3, 8, 8), generator=torch.Generator().manual_seed(0)))
    data, sides = Data(Spec((3, 8, 8)), Split(x), Split(x)), {"substitute": (x, None), "reference": (x, None)}
    scene = Evaluation(data, Suite(n=WIDTH), torch.device("cpu"), 0, feature_source=SmallPublished(), **sides)
    assert set(TorchFidelity.tags) - set(TorchFidelity()(scene)) == {"divergence/fid"}


def test_fewer_samples_than_dimensions_are_refused():
    run = RunSpec(Spec((3, 8, 8)), features=SmallPublished(), n=WIDTH)
    reason = "24 features take more than 24 samples a side, and there are 24: give more as metric.n"
    assert TorchFidelity().why_unsupported(run) == reason
    assert TorchFidelity().why_unsupported(RunSpec(Spec((3, 8, 8)), features=SmallPublished(), n=25)) is None
