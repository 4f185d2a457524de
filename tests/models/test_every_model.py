"""Laws that hold for every registered model and every shape it says it fits."""

import copy
import functools
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantrain.config import plain_data, resolve_for
from gantrain.datasets.base import Spec
from gantrain.door import compose
from gantrain.models.auto import Auto
from gantrain.models.base import Model
from gantrain.registry import REGISTERED, build
from gantrain.state import players

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (4, 9, 13), (1, 24, 40), (1, 11, 8), (2,), (1,)]
MODELS = sorted(name for name, cls in REGISTERED["model"].items() if cls is not Auto)
CLASSES, N = 3, 5
FITTING = [
    pytest.param(name, shape, id=f"{name}-{'x'.join(map(str, shape))}")
    for name in MODELS
    for shape in SHAPES
    if build("model", {"name": name}).fits(Spec(shape, CLASSES)) is None
]
every_model_and_shape = pytest.mark.parametrize(("name", "shape"), FITTING)
every_conditional = pytest.mark.parametrize(
    ("name", "shape"),
    [
        case
        for case in FITTING
        if build("model", {"name": case.values[0], "condition": "concat"}).fits(Spec(case.values[1], CLASSES))
        is None
    ],
)


def make(name: str, shape: tuple[int, ...], condition: str = "none", seed: int = 0, **options):
    """Players, their recipe, and a function that draws inputs for them."""
    model = build("model", {"name": name, "width": 8, "condition": condition, **options})
    spec = Spec(shape, CLASSES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        G, D = model.build(spec)
    return G, D, model


def inputs(model: Model, shape: tuple[int, ...], n: int = N) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    z = model.latents(n, generator)
    x = torch.rand(n, *shape, generator=generator) * 2 - 1
    return z, x, torch.arange(n) % CLASSES


@every_model_and_shape
@pytest.mark.parametrize("condition", ["none", "concat"])
def test_shapes_types_and_ranges(name, shape, condition):
    G, D, model = make(name, shape, condition)
    for n in (1, N):
        z, x, y = inputs(model, shape, n)
        fake, logits = G(z, y), D(x, y)
        assert fake.shape == (n, *shape)
        assert logits.shape == (n,)
        assert fake.dtype == logits.dtype == torch.float32
        assert torch.isfinite(fake).all()
        assert torch.isfinite(logits).all()
        assert D(fake, y).shape == (n,)


@every_model_and_shape
def test_images_stay_in_their_range_and_points_may_go_anywhere(name, shape):
    G, _, model = make(name, shape)
    with torch.no_grad():
        for parameter in G.parameters():
            parameter.mul_(30)
        fake = G(inputs(model, shape)[0], None)
    assert (fake.abs().max() <= 1) == (len(shape) == 3)


@every_model_and_shape
def test_logits_are_not_squashed(name, shape):
    _, D, model = make(name, shape)
    with torch.no_grad():
        *_, last = D.parameters()
        last.add_(1000)  # the bias of the logit
    assert (D(inputs(model, shape)[1], None) > 900).all()


@every_model_and_shape
@pytest.mark.parametrize("condition", ["none", "concat"])
def test_a_sample_depends_on_its_own_input_alone(name, shape, condition):
    """So that R1's per-sample gradients, the bound of js and a batch cut in two are what they seem."""
    G, D, model = make(name, shape, condition)
    z, x, y = inputs(model, shape)
    for network, given in ((G, z), (D, x)):
        given = given.clone().requires_grad_(True)
        out = network(given, y)
        for i in range(N):
            (slope,) = torch.autograd.grad(out[i].sum(), given, retain_graph=True)
            own = slope.flatten(1).abs().sum(1)
            assert own[i] > 0
            assert own.sum() == own[i]
        changed = given.detach().clone()
        changed[1:] = 5 * changed[1:].flip(0) + 1
        labels = y.clone()
        labels[1:] = (labels[1:] + 1) % CLASSES
        torch.testing.assert_close(network(changed, labels)[0], out[0], rtol=0, atol=1e-6)


@every_model_and_shape
@pytest.mark.parametrize("condition", ["none", "concat"])
def test_the_gradient_reaches_every_parameter(name, shape, condition):
    G, D, model = make(name, shape, condition)
    z, _, y = inputs(model, shape, 64)
    D(G(z, y), y).sum().backward()
    for network in (G, D):
        for weight_name, parameter in network.named_parameters():
            assert parameter.grad is not None, weight_name
            assert parameter.grad.abs().sum() > 0, weight_name


@every_conditional
def test_the_condition_changes_what_both_players_say_and_only_where_it_is_seen(name, shape):
    for condition, seen in (("concat", True), ("none", False)):
        G, D, model = make(name, shape, condition)
        z, x, y = inputs(model, shape)
        other = (y + 1) % CLASSES
        for network, given in ((G, z), (D, x)):
            changed = (network(given, y) != network(given, other)).reshape(N, -1).any(1)
            assert changed.all() if seen else not changed.any()


@every_conditional
def test_every_class_is_told_from_every_other(name, shape):
    G, D, model = make(name, shape, "concat")
    z, x, _ = inputs(model, shape, 64)
    for network, given in ((G, z), (D, x)):
        outs = [network(given, torch.full((64,), label)) for label in range(CLASSES)]
        for a, b in itertools.combinations(outs, 2):
            assert (a - b).abs().max() > 1e-4


@every_model_and_shape
def test_z_dim_and_width_are_obeyed(name, shape):
    wide = {
        width: sum(p.numel() for player in make(name, shape, width=width)[:2] for p in player.parameters())
        for width in (4, 16)
    }
    assert wide[4] < wide[16]
    G, _, model = make(name, shape, z_dim=17)
    assert model.latents(3, torch.Generator()).shape == (3, 17)
    assert G(torch.zeros(3, 17), None).shape == (3, *shape)


@pytest.mark.parametrize("name", MODELS)
def test_latents_are_standard_normal_and_a_function_of_the_generator(name):
    model = build("model", {"name": name, "z_dim": 10})
    z, again = (model.latents(20_000, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(z, again)
    assert z.mean(0).abs().max() < 5 / math.sqrt(20_000)
    assert (z.T.cov() - torch.eye(10)).abs().max() < 5 * math.sqrt(2 / 20_000)


@every_model_and_shape
def test_first_weights_are_a_function_of_the_seed_and_torchs_random_state_is_left_alone(name, shape):
    def weights(seed: int) -> Tensor:
        return torch.cat(
            [
                p.flatten()
                for network in players(config(name, seed, shape), Spec(shape))
                for p in network.parameters()
            ]
        )

    state = torch.random.get_rng_state()
    first = weights(0)
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = weights(0)
    assert torch.equal(first, again)
    assert not torch.equal(first, weights(1))


@functools.cache
def composed() -> dict[str, Any]:
    return plain_data(compose(["dataset=ring", "device=cpu", "metric=none", "name=test"]))


def config(name: str, seed: int, shape: tuple[int, ...]):
    plain = copy.deepcopy(composed()) | {"seed": seed, "model": {"name": name, "width": 8}}
    return resolve_for(plain, Spec(shape))


@pytest.mark.parametrize("shape", [*SHAPES, (1, 7, 30), (3, 4, 4)], ids=str)
def test_auto_picks_a_model_that_fits_and_never_stays_auto(shape):
    model = config("auto", 0, shape).model
    assert model.name != "auto"
    assert model.fits(Spec(shape)) is None
    assert model.width == 8
    G, D = model.build(Spec(shape))
    assert D(G(model.latents(2, torch.Generator()), None), None).shape == (2,)


@pytest.mark.parametrize("shape", [(1, 7, 30), (3, 4, 4), (2,)], ids=str)
def test_convolutions_refuse_points_and_small_images_with_a_reason(shape):
    assert isinstance(build("model", {"name": "dcgan"}).fits(Spec(shape)), str)


@pytest.mark.parametrize("name", MODELS)
def test_no_player_normalises_over_the_batch(name):
    G, D, _ = make(name, (1, 16, 16))
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for p in (G, D) for m in p.modules())
