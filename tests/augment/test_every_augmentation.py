"""Laws that hold for every registered augmentation, so that a new file is tested by being there."""

import pytest
import torch

import gantrain.augment  # noqa: F401  (registers every augmentation)
from gantrain.augment.base import Augmentation
from gantrain.core.spec import Spec
from gantrain.registry import REGISTERED, build

NAMES = sorted(REGISTERED["augment"])
every_augmentation = pytest.mark.parametrize("name", NAMES)


def make(name: str) -> Augmentation:
    augment: Augmentation = build("augment", {"name": name})
    return augment.for_classifier()  # a strength that shows


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def augmented(augment: Augmentation, x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return augment(x, augment.draw(len(x), seeded(seed)), augment.initial_memory())


def images(n: int = 32, channels: int = 3) -> torch.Tensor:
    return torch.randn(n, channels, 8, 10, generator=seeded(1))


@every_augmentation
def test_augmentation_has_the_name_it_is_registered_under(name):
    assert make(name).name == name


@every_augmentation
@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation_keeps_shape_type_and_its_input(name, channels):
    x = images(channels=channels)
    before = x.clone()
    y = augmented(make(name), x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert torch.isfinite(y).all()
    assert torch.equal(x, before)


@every_augmentation
def test_augmentation_is_a_function_of_its_generator(name):
    x, augment = images(), make(name)
    assert torch.equal(augmented(augment, x, 3), augmented(augment, x, 3))
    assert torch.equal(augmented(augment, x, 3), augmented(augment, x, 4)) != augment.active
    state = torch.random.get_rng_state()
    augmented(augment, x)
    assert torch.equal(torch.random.get_rng_state(), state)


@every_augmentation
def test_augmentation_passes_gradients_to_every_sample(name):
    x = images().requires_grad_(True)
    augmented(make(name), x).square().sum().backward()
    assert x.grad is not None
    assert (x.grad.flatten(1).abs().sum(1) > 0).all()


@every_augmentation
def test_augmentation_draws_one_row_a_sample(name):
    assert len(make(name).draw(7, seeded())) == 7


@every_augmentation
def test_augmentation_supports_images(name):
    assert make(name).why_unsupported(Spec((3, 8, 8))) is None
