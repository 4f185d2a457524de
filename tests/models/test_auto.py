"""model=auto picks by the data, their resolution and the device, and keeps what was set."""

import pytest

from gantrain.core.spec import Spec
from gantrain.models.auto import Auto
from gantrain.registry import build


@pytest.mark.parametrize(
    ("shape", "device", "is_smooth", "keys", "name"),
    [
        ((3, 32, 32), "cuda", True, {}, "r3gan"),
        ((3, 64, 64), "mps", True, {}, "r3gan"),
        ((3, 32, 32), "cuda", False, {}, "dcgan"),  # it has no normalisation
        ((3, 32, 32), "cpu", True, {}, "dcgan"),
        ((1, 28, 28), "cuda", True, {}, "dcgan"),
        ((3, 32, 32), "cuda", True, {"source": "dropout"}, "dcgan"),  # which it does not fit
    ],
)
def test_auto_picks_r3gan_on_a_gpu_where_it_converges(shape, device, is_smooth, keys, name):
    model = build("model", Auto(**keys).pick(Spec(shape), device, is_smooth))
    assert (model.name, model.width) == (name, {"r3gan": 768, "dcgan": 32}[name])
    assert model.learning_rate(Spec(shape)) == {"r3gan": 2e-4, "dcgan": 1e-3}[name]


@pytest.mark.parametrize(
    ("shape", "device", "name", "width"),
    [
        ((2,), "cpu", "mlp", 128),
        ((2,), "cuda", "mlp", 128),
        ((1, 7, 40), "cpu", "mlp", 128),
        ((1, 8, 8), "cpu", "dcgan", 32),
        ((1, 28, 28), "cpu", "dcgan", 32),
        ((3, 32, 32), "cpu", "dcgan", 32),
        ((3, 32, 64), "cpu", "dcgan", 32),
        ((3, 33, 33), "cpu", "dcgan", 16),
        ((3, 64, 64), "cpu", "dcgan", 16),
        ((3, 64, 64), "cuda", "dcgan", 32),
        ((3, 64, 64), "mps", "dcgan", 32),
    ],
)
def test_auto_picks_by_resolution_and_device(shape, device, name, width):
    model = build("model", Auto(z_dim=5, packing=2).pick(Spec(shape), device))
    assert (model.name, model.width, model.z_dim, model.packing) == (name, width, 5, 2)
    assert Auto(width=7).pick(Spec(shape), device)["width"] == 7
