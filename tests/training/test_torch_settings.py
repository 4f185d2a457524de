"""The keys of ``device`` in effect during a run, and the process as it was after it."""

import dataclasses
import os

import pytest
import torch

from gantrain.config.device import Device
from gantrain.core.device import check_precision
from gantrain.errors import ConfigError
from gantrain.training import torch_settings as settings
from gantrain.training.runtime import Runtime
from gantrain.training.torch_settings import CUBLAS, torch_settings

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def gpu(monkeypatch) -> list[tuple]:
    """A card of Ampere as far as these settings ask for it; what they change of its memory is listed."""
    calls: list[tuple] = []
    monkeypatch.delenv(CUBLAS, raising=False)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "card")
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: 0.75)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *words: calls.append(words))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append(("empty",)))
    return calls


def flags() -> tuple:
    cudnn = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
        cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )


KEYS = [
    {},
    {"precision": "tf32"},
    {"precision": "float16", "deterministic": True},
    {"deterministic": True, "memory_fraction": 0.25},
]


@pytest.mark.parametrize("keys", KEYS, ids=str)
@pytest.mark.parametrize("error", [None, KeyError], ids=["ends", "raises"])
def test_settings_are_those_of_the_keys_and_restored_after(gpu, keys, error):
    before, options = flags(), dataclasses.replace(Device(), **keys)
    try:
        with torch_settings(options, CUDA):
            is_tf32 = options.precision == "tf32"
            matmul = "high" if is_tf32 else "highest"
            repeats = options.deterministic
            fill = before[-1] and not repeats
            assert flags() == (repeats, False, repeats, False, is_tf32, matmul, fill)
            assert gpu == [(options.memory_fraction, CUDA)]
            assert os.environ[CUBLAS] == ":4096:8"
            if error:
                raise error
    except KeyError:
        pass
    assert flags() == before
    assert gpu[1:] == [(0.75, CUDA), ("empty",)]


def test_settings_of_the_cpu_change_determinism_alone():
    before = flags()
    with torch_settings(Device(), CPU):
        assert flags() == before
    with torch_settings(dataclasses.replace(Device(), deterministic=True), CPU):
        assert torch.are_deterministic_algorithms_enabled()
    assert flags() == before


@pytest.mark.parametrize("workspace", [None, ":4096:2:16:8"])
def test_determinism_is_refused_once_cublas_has_begun_without(gpu, monkeypatch, workspace):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    if workspace:
        monkeypatch.setenv(CUBLAS, workspace)
    before = flags()
    with (
        pytest.raises(ConfigError, match=f"deterministic: needs {CUBLAS}=:4096:8 before CUDA starts"),
        torch_settings(dataclasses.replace(Device(), deterministic=True), CUDA),
    ):
        pass
    assert flags() == before


def test_tf32_is_refused_by_a_card_without_it(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    with (
        pytest.raises(ConfigError, match=r"device\.precision: card has no tf32; choose float32"),
        torch_settings(dataclasses.replace(Device(), precision="tf32"), CUDA),
    ):
        pass
    assert gpu[-1] == ("empty",)


def test_memory_of_a_failed_run_is_not_kept_by_its_error(gpu):
    class Network:
        count = 0

        def __init__(self) -> None:
            Network.count += 1

        def __del__(self) -> None:
            Network.count -= 1

    def train() -> None:
        network = Network()
        raise RuntimeError(f"CUDA out of memory {network is None}")

    with pytest.raises(RuntimeError) as found, settings.gpu_memory(CUDA, 1.0):
        train()
    assert found.value.__traceback__ is not None
    assert Network.count == 0


@pytest.mark.parametrize("precision", ["tf32", "float16"])
@pytest.mark.parametrize("kind", ["cpu", "mps"])
def test_precisions_of_cuda_are_refused_elsewhere(precision, kind):
    with pytest.raises(
        ConfigError, match=f"device.precision: {precision} .*this run is on {kind}; choose float32"
    ):
        check_precision(precision, torch.device(kind))
    check_precision(precision, CUDA)


@pytest.mark.parametrize("precision, dtype", [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_networks_run_in_the_precision_of_the_run(precision, dtype):
    runtime = Runtime(dataclasses.replace(Device(), kind="cpu", precision=precision))
    with runtime.autocast():
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype
    assert runtime.environment()["precision"] == precision
    assert runtime.environment()["deterministic"] is False


def test_precision_that_the_device_lacks_stops_before_step_0(run_cli, tmp_path):
    code, _, err = run_cli("debug=tiny", "device=cpu", "device.precision=float16", "run.dir=out")
    assert (code, err.count("\n"), (tmp_path / "out").exists()) == (2, 1, False)
    assert "device.precision: float16 needs a GPU" in err
