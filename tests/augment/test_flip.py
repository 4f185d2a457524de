"""Random horizontal flips: an involution, of the right frequency, and for images alone."""

import math

import pytest
import torch
from composed import composed

from gantrain.augment.flip import Flip
from gantrain.augment.none import NoAugmentation
from gantrain.config.resolve import resolve
from gantrain.core.random import stream
from gantrain.core.spec import Spec
from gantrain.errors import ConfigError
from gantrain.penalties.base import REAL
from gantrain.training.batches import Batches
from gantrain.training.draws import Draw
from gantrain.training.loop import train
from gantrain.training.play import Play
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

BASE = ("dataset=digits", "device=cpu", "metric=none", "train.batch_size=16", "train.steps=4")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flipped(flip: Flip, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return flip(x, flip.draw(len(x), generator), {})


def trained(*words: str) -> dict[str, torch.Tensor]:
    config = resolve(composed(*BASE, *words))
    runtime, data = Runtime(config.device), config.dataset.load(0)
    state = TrainState.create(config, data.spec, runtime)
    batches = Batches(data.train, 16, 0, runtime.device)
    train(state, batches, config, runtime, lambda _: None, lambda _: None)
    assert state.step == 4
    return state.tensors()


def is_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a | b)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_flip_twice_with_one_generator_is_the_identity(probability):
    x, flip = torch.randn(64, 3, 8, 9, generator=seeded(1)), Flip(probability=probability)
    assert torch.equal(flipped(flip, flipped(flip, x, seeded(2)), seeded(2)), x)


def test_flip_returns_each_image_or_its_mirror_image():
    x = torch.randn(64, 1, 8, 8, generator=seeded(1))
    y = flipped(Flip(), x, seeded())
    kept, mirrored = (y == x).flatten(1).all(1), (y == x.flip(-1)).flatten(1).all(1)
    assert (kept ^ mirrored).all()
    assert kept.any()
    assert mirrored.any()
    assert torch.equal(flipped(Flip(probability=0), x, seeded()), x)
    assert torch.equal(flipped(Flip(probability=1), x, seeded()), x.flip(-1))


@pytest.mark.parametrize("probability", [0.2, 0.5, 0.9])
def test_flip_has_its_probability_for_each_image_alone(probability):
    n = 20_000
    x = torch.zeros(n, 1, 1, 2)
    x[..., 1] = 1
    mirrored = flipped(Flip(probability=probability), x, seeded())[:, 0, 0, 0]
    error = math.sqrt(probability * (1 - probability) / n)
    assert mirrored.mean().item() == pytest.approx(probability, abs=4 * error)
    both = (mirrored[:-1] * mirrored[1:]).mean().item()  # neighbours are independent
    assert both == pytest.approx(probability**2, abs=4 / math.sqrt(n))


def test_flip_gradient_is_mirrored_as_the_image_is():
    x = torch.randn(16, 2, 4, 5, generator=seeded(1)).requires_grad_(True)
    weight = torch.randn(16, 2, 4, 5, generator=seeded(2))
    (flipped(Flip(), x, seeded(3)) * weight).sum().backward()
    assert torch.equal(x.grad, flipped(Flip(), weight, seeded(3)))


@pytest.mark.parametrize("dataset", ["ring", "gaussian"])
def test_flip_is_refused_for_points(dataset):
    with pytest.raises(ConfigError, match=r"augment: .*images.*augment=none"):
        resolve(composed(f"dataset={dataset}", "model=mlp", "augment=flip"))


def test_augment_is_refused_without_a_discriminator():
    with pytest.raises(ConfigError, match=r"augment: .*augment=none"):
        resolve(composed("dataset=digits", "objective=regression", "model.condition=concat", "augment=flip"))


def test_augment_none_is_a_config_without_the_group():
    plain = composed(*BASE)
    assert plain.pop("augment") == {"name": "none"}
    assert isinstance(resolve(plain).augment, NoAugmentation)
    assert isinstance(resolve(plain, Spec((1, 8, 8), classes=10)).augment, NoAugmentation)


def test_flip_of_probability_0_trains_as_none_bit_for_bit():
    none = trained()
    assert is_same(none, trained("augment=flip", "augment.probability=0"))
    assert not is_same(none, trained("augment=flip"))


@pytest.mark.parametrize(
    "words", [("objective=relativistic",), ("train.unroll=1", "penalty=none"), ("penalty=r1",)]
)
def test_augment_flip_trains_in_every_kind_of_update(words):
    plain, mirrored = trained(*words), trained(*words, "augment=flip")
    assert all(torch.isfinite(tensor).all() for tensor in mirrored.values() if tensor.is_floating_point())
    assert not is_same(plain, mirrored)


def test_d_input_is_augmented_by_its_own_stream_before_noise():
    config = resolve(composed(*BASE, "augment=flip", "noise=instance"))
    play, (G, D) = Play.create(config, Runtime(config.device)), config.model.build(config.spec)
    x = torch.randn(16, 1, 8, 8, generator=seeded(1))
    mirrored = flipped(Flip(), x, stream(config.seed, 3, "augment real0"))
    noise = torch.randn(x.shape, generator=stream(config.seed, 3, "noise real0"))
    draw = Draw(play, G, D, 3)
    draws = draw.for_d(x, None, 0, due=())
    assert torch.equal(play.see(x, draws, REAL, {}), mirrored + draw.noise.instance_std * noise)
