"""The number of CPU threads: by the work of the networks, kept by a run that goes on, and never above the cores."""

import functools

import pytest
import torch
from composed import composed
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gantrain.config.resolve import resolve
from gantrain.errors import ConfigError
from gantrain.training import threads
from gantrain.training.batches import Batches
from gantrain.training.loop import train
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState
from gantrain.training.threads import count_products, forward_flop, set_threads

RING = ("dataset=ring", "dataset.n=600", "dataset.n_holdout=20", "device=cpu", "seed=0")


@pytest.fixture(autouse=True)
def threads_restored():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cores(monkeypatch):
    """Set how many cores this process may use, and how many threads torch would choose."""

    def set_to(cores: int, torch_threads: int | None = None) -> None:
        monkeypatch.setattr(threads, "usable_cores", lambda: cores)
        monkeypatch.setattr(threads, "TORCH_THREADS", torch_threads or cores)

    return set_to


@functools.cache
def run_of(*words: str):
    config = resolve(composed(*words))
    data = config.dataset.load(0)
    return config, data, TrainState.create(config, data.spec, Runtime(config.device))


def threads_of(*words: str, environment: dict | None = None) -> int:
    set_threads(*run_of(*words), environment)
    return Runtime(resolve(composed(*words)).device).environment()["threads"]


@pytest.mark.parametrize(
    ("network", "shape", "products"),
    [
        (nn.Linear(3, 5), (2, 3), 2 * 3 * 5),
        (nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 1)), (2, 3), 2 * (3 * 5 + 5)),
        (nn.Conv2d(2, 4, 3, stride=2, padding=1), (2, 2, 8, 8), 2 * 4 * 2 * 9 * 4 * 4),
        (nn.Conv2d(4, 4, 3, padding=1, groups=2), (1, 4, 8, 8), 4 * 2 * 9 * 8 * 8),
        (nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1), (2, 4, 4, 4), 2 * 4 * 2 * 16 * 4 * 4),
        (spectral_norm(nn.Linear(3, 5)), (2, 3), 2 * 3 * 5),
    ],
    ids=str,
)
def test_count_products_of_a_layer(network, shape, products):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert count_products(network, lambda: network(torch.ones(shape))) == products
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_count_products_skips_an_embedding():
    network = nn.Embedding(7, 5)
    assert count_products(network, lambda: network(torch.tensor([1, 2]))) == 0


def test_forward_flop_is_two_for_each_product_of_a_batch():
    # G 2 -> 128 -> 128 -> 128 -> 2 and D 2 -> 128 -> 128 -> 128 -> 1, on 256 points
    products = (2 * 128 + 2 * 128**2 + 128 * 2) + (2 * 128 + 2 * 128**2 + 128)
    assert forward_flop(*run_of(*RING)) == 2 * 256 * products
    packed = forward_flop(*run_of(*RING, "model.packing=2"))
    assert packed == 2 * 256 * (products - (2 * 128 + 2 * 128**2 + 128) + (4 * 128 + 2 * 128**2 + 128) / 2)


@pytest.mark.parametrize(
    "words", [("model.spectral_norm=true",), ("model.condition=conditional_batch_norm",)], ids=str
)
def test_counting_the_work_leaves_the_state_as_it_was(words):
    config, data, state = run_of("dataset=digits", "device=cpu", *words)
    before = {name: value.clone() for name, value in state.tensors().items()}
    assert forward_flop(config, data, state) > forward_flop(*run_of(*RING))
    assert all(torch.equal(value, before[name]) for name, value in state.tensors().items())
    assert all(module.training for module in (*state.G.modules(), *state.D.modules()))


@pytest.mark.parametrize(
    ("words", "wide"),
    [(RING, 1), (("dataset=digits", "device=cpu"), 1), ((*RING, "model.width=512"), 5)],
    ids=["ring", "digits", "wide"],
)
def test_auto_is_one_thread_for_small_networks(words, wide, cores):
    for most in (1, 2, 4, 64):
        cores(most)
        assert threads_of(*words) == min(wide, most)
    cores(64, torch_threads=2)  # OMP_NUM_THREADS=2
    assert threads_of(*words) == min(wide, 2)


def test_auto_keeps_the_number_of_the_run_that_goes_on(cores):
    cores(4)
    assert threads_of(*RING, environment={"threads": 3}) == 3
    assert threads_of(*RING, environment={"threads": 16}) == 4
    assert threads_of(*RING, "device.threads=2", environment={"threads": 3}) == 2
    for broken in ({}, {"threads": "3"}, {"threads": 0}, {"threads": None}):
        assert threads_of(*RING, environment=broken) == 1


def test_a_typed_number_is_at_most_that_of_the_cores(cores, caplog):
    cores(2)
    assert threads_of(*RING, "device.threads=2") == 2
    assert not caplog.records
    assert threads_of(*RING, "device.threads=8") == 2
    assert "device.threads=8: this process may use 2 cores" in caplog.text
    assert threads_of(*RING, "device.threads=0") == 1  # as auto, which older versions wrote so


@pytest.mark.parametrize("value", ["-1", "1.5", "two", "10000", "1e1", "01", "true", "''"])
def test_threads_are_auto_or_a_whole_number(value):
    with pytest.raises(ConfigError, match=r"^device\.threads: ") as fault:
        resolve(composed("device.threads=" + value))
    assert "neither auto nor a number of threads; give auto, or a whole number from 1" in str(fault.value)


@pytest.mark.parametrize("words", [("penalty=r1",), ("objective=wasserstein", "penalty=wgan_gp")], ids=str)
def test_a_run_without_convolutions_has_the_same_bits(words):
    runs = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        config, data, _ = run_of(*RING, *words, "train.steps=2")
        state = TrainState.create(config, data.spec, Runtime(config.device))
        runtime = Runtime(config.device)
        batches = Batches(data.train, config.train.batch_size, 0, runtime.device)
        train(state, batches, config, runtime, lambda tags: None, lambda state: None)
        runs.append(state.tensors())
    first, *others = runs
    assert all(torch.equal(first[name], other[name]) for other in others for name in first)
