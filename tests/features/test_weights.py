"""Weights from files: found, verified, and never run."""

import io
import os
import pickle
import struct
import zipfile
from hashlib import sha256 as digest_of
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn

from gantrain.core.weights_place import download_folder, find_weights
from gantrain.datasets.digits import Digits
from gantrain.errors import DataError
from gantrain.features.classifier import Classifier
from gantrain.features.tools.classifier import LAST_FIT, shared_classifier
from gantrain.features.tools.weights import MOST_HEADER, fill, read_weights

TENSORS = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def pickled(what) -> bytes:
    file = io.BytesIO()
    torch.save(what, file)
    return file.getvalue()


def sha256(content: bytes) -> str:
    return digest_of(content).hexdigest()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def refused(where, *words, published="") -> str:
    with pytest.raises(DataError) as caught:
        read_weights(str(where), published, "get it from https://example.org/w.pth")
    assert not os.path.exists("executed")
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line, line
    return line


def test_weights_are_read_with_their_digest(folder):
    content = save(TENSORS)
    (folder / "w.safetensors").write_bytes(content)
    tensors, digest = read_weights(str(folder / "w.safetensors"))
    assert digest == sha256(content)
    assert tensors.keys() == TENSORS.keys()
    assert all(tensors[name].equal(tensor) for name, tensor in TENSORS.items())


@pytest.mark.parametrize("write", [save, pickled])
def test_published_weights_have_their_digest(folder, write):
    (folder / "w.pth").write_bytes(content := write(TENSORS))
    tensors, digest = read_weights("w.pth", sha256(content))
    assert digest == sha256(content)
    assert tensors["weight"].equal(TENSORS["weight"])
    other = sha256(b"other")
    refused(
        "w.pth", "is not the published file", digest[:12], other[:12], "https://example.org", published=other
    )


def test_weights_lie_where_torch_keeps_downloads(folder, monkeypatch):
    assert download_folder() == folder / "torch/hub/checkpoints"
    download_folder().mkdir(parents=True)
    (download_folder() / "w.pth").write_bytes(b"")
    assert find_weights("w.pth") == download_folder() / "w.pth"
    (folder / "w.pth").write_bytes(b"")
    assert find_weights("w.pth") == Path("w.pth")
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert str(download_folder()) == "/cache/torch/hub/checkpoints" == torch.hub.get_dir() + "/checkpoints"


def test_absent_weights_say_where_they_belong(folder):
    line = refused("none.pth", "there is no file none.pth", str(download_folder()))
    assert line.endswith("; get it from https://example.org/w.pth")
    os.mkfifo(folder / "pipe")
    refused("pipe", "there is no file pipe")
    refused(folder, "there is no file")
    refused("/dev/zero", "there is no file")


@pytest.mark.parametrize(
    "content", [pickled(Malicious()), pickled(TENSORS), pickle.dumps(Malicious()), b"", b"\0" * 9]
)
def test_a_pickle_is_not_opened_unless_published(folder, content):
    (folder / "w.safetensors").write_bytes(content)
    refused("w.safetensors", "is not a file of weights")


@pytest.mark.parametrize(
    "content", [pickled(Malicious()), pickle.dumps(Malicious(), protocol=2), b"PK\3\4", b"\x80\2"]
)
def test_a_published_pickle_does_not_run_code(folder, content):
    (folder / "w.pth").write_bytes(content)
    refused("w.pth", "is not a file of weights", published=sha256(content))


def test_a_truncated_file_is_refused(folder):
    for content in (save(TENSORS), pickled(TENSORS)):
        (folder / "w").write_bytes(content[:-5])
        refused("w", "is not a file of weights")
        refused("w", "is not the published file", published=sha256(content))


def test_a_long_header_is_refused(folder):
    for length in (MOST_HEADER + 1, 2**40, 2**64 - 1):
        (folder / "w").write_bytes(struct.pack("<Q", length) + b"{" + b" " * 100)
        refused("w", "a header of")


def test_a_tensor_beyond_its_file_is_refused(folder):
    for shape, end in (([2**40], 2**42), ([2**40], 8), ([-1], 4), ([2**62, 2**62], 8)):
        header = f'{{"weight":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}'.encode()
        (folder / "w").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 8)
        refused("w", "is not a file of weights")


def test_a_bomb_in_a_zip_is_not_opened(folder):
    with zipfile.ZipFile(folder / "w", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 2**22)
    refused("w", "is not a file of weights")


def test_weights_of_another_network_are_refused(folder):
    network = nn.Linear(3, 2)
    fill(network, TENSORS, "w")
    assert network.weight.equal(TENSORS["weight"])
    for tensors, words in (
        ({"weight": TENSORS["weight"]}, "bias is absent, not (2,)"),
        (TENSORS | {"weight": torch.ones(3, 3)}, "weight is (3, 3), not (2, 3)"),
        (TENSORS | {"other": torch.ones(1)}, "other is (1,), not absent"),
    ):
        with pytest.raises(DataError, match="weights of another network") as caught:
            fill(network, tensors, "w")
        assert words in str(caught.value)


def test_a_classifier_of_another_machine_is_read(folder):
    data = Digits().load(0)
    own = shared_classifier(data)
    weights = {name: tensor + 0.01 for name, tensor in own.state_dict().items()}
    (folder / "theirs.safetensors").write_bytes(content := save(weights))
    extractor = Classifier(weights="theirs.safetensors").load(data)
    assert extractor.protocol["sha256"] == sha256(content) != own.sha256
    x, _ = data.holdout.take(torch.arange(5))
    own.load_state_dict(weights)
    assert extractor(x).equal(own[:-1](x))
    LAST_FIT.clear()
    (folder / "other.safetensors").write_bytes(save(TENSORS))
    with pytest.raises(DataError, match="weights of another network"):
        Classifier(weights="other.safetensors").load(data)
    (folder / "code.safetensors").write_bytes(pickled(Malicious()))
    with pytest.raises(DataError, match="is not a file of weights"):
        Classifier(weights="code.safetensors").check_weights()
    assert not (folder / "executed").exists()
