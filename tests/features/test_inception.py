"""Inception as torch-fidelity runs it; its weights are not here, so these are random ones in the layout of its file."""

import hashlib
from importlib import import_module

import pytest
import torch

from gantrain.errors import DataError
from gantrain.features.inception import FILE, URL, Inception


def test_the_file_is_the_one_that_torch_fidelity_downloads():
    assert import_module("torch_fidelity.feature_extractor_inceptionv3").URL_INCEPTION_V3 == URL + FILE
    assert FILE.endswith(f"-{Inception.sha256[:8]}.pth")  # by the rule of torch.hub


@pytest.mark.slow
def test_features_are_those_of_torch_fidelity(tmp_path, monkeypatch):
    module = import_module("torch_fidelity.feature_extractor_inceptionv3")
    path = tmp_path / FILE
    with monkeypatch.context() as patch:  # an untrained network, to write its file
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        torch.save(module.FeatureExtractorInceptionV3("any", ["2048"], verbose=False).state_dict(), path)
    monkeypatch.setattr(Inception, "sha256", hashlib.sha256(path.read_bytes()).hexdigest())
    extractor = Inception(weights=str(path)).load(None).eval()
    theirs = module.FeatureExtractorInceptionV3("any", ["2048", "logits_unbiased"], str(path))
    bytes_ = torch.randint(0, 256, (2, 3, 40, 32), dtype=torch.uint8)
    with torch.inference_mode():
        features, logits = theirs(bytes_)
        found = extractor(bytes_.float() / 127.5 - 1)
    assert found.equal(features)
    torch.testing.assert_close(extractor.logits(found), logits)
    torch.save({"fc.weight": torch.ones(2)}, path)
    monkeypatch.setattr(Inception, "sha256", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(DataError, match="weights of another network"):
        Inception(weights=str(path)).load(None)
