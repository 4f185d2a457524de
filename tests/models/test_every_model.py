"""Laws that hold for every registered model and every shape it says it fits."""

import dataclasses
import itertools
import math

import pytest
import torch
from composed import composed
from torch import Tensor, nn

from gantrain.config.resolve import resolve
from gantrain.core.spec import ConditionSpec, Spec, bounded
from gantrain.models.auto import Auto
from gantrain.models.base import Fit, Generator
from gantrain.models.layers import ConditionEmbedding
from gantrain.models.norms import BatchNorm, ConditionalBatchNorm
from gantrain.registry import REGISTERED, build
from gantrain.training.state import build_networks

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (4, 9, 13), (1, 24, 40), (1, 11, 8), (2,), (1,)]
MODELS = sorted(name for name, cls in REGISTERED["model"].items() if cls is not Auto)
CLASSES, N = 3, 5
IMAGES_ONLY = [name for name in MODELS if build("model", {"name": name}).why_unsupported(Spec((2,)))]
FITTING = [
    pytest.param(
        name,
        shape,
        id=f"{name}-{'x'.join(map(str, shape))}",
        marks=[pytest.mark.slow] if math.prod(shape) > 500 and name != "dcgan" else [],
    )
    for name in MODELS
    for shape in SHAPES
    if build("model", {"name": name}).why_unsupported(Spec(shape, CLASSES)) is None
]
every_model_and_shape = pytest.mark.parametrize(("name", "shape"), FITTING)
every_conditional = pytest.mark.parametrize(
    ("name", "shape"),
    [
        case
        for case in FITTING
        if build("model", {"name": case.values[0], "condition": "concat"}).why_unsupported(
            Spec(case.values[1], CLASSES)
        )
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


def inputs(G: Generator, shape: tuple[int, ...], n: int = N) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    z = G.latents(n, generator)
    x = torch.rand(n, *shape, generator=generator) * 2 - 1
    return z, x, torch.arange(n) % CLASSES


@every_model_and_shape
@pytest.mark.parametrize("condition", ["none", "concat"])
def test_shapes_types_and_ranges(name, shape, condition):
    G, D, _ = make(name, shape, condition)
    for n in (1, N):
        z, x, y = inputs(G, shape, n)
        fake, logits = G(z, y), D(x, y)
        assert fake.shape == (n, *shape)
        assert logits.shape == (n,)
        assert fake.dtype == logits.dtype == torch.float32
        assert torch.isfinite(fake).all()
        assert torch.isfinite(logits).all()
        assert D(fake, y).shape == (n,)


@every_model_and_shape
def test_images_stay_in_their_range_and_points_may_go_anywhere(name, shape):
    G, *_ = make(name, shape)
    with torch.no_grad():
        for parameter in G.parameters():
            parameter.mul_(30)
        fake = bounded(G(inputs(G, shape)[0], None))
    assert (fake.abs().max() <= 1) == (len(shape) == 3)


@every_model_and_shape
def test_logits_are_not_squashed(name, shape):
    G, D, _ = make(name, shape)
    with torch.no_grad():
        *_, last = D.parameters()
        before = D(inputs(G, shape)[1], None)
        if last.numel() == 1:
            last.add_(1000)  # the bias of the logit, or the slope
        else:
            last.mul_(1000)  # the weights of the logit, of a model without that bias
        after = D(inputs(G, shape)[1], None)
    assert (after > 900).all() if last.numel() == 1 else torch.allclose(after, 1000 * before, rtol=1e-4)


@every_model_and_shape
@pytest.mark.parametrize("condition", ["none", "concat"])
def test_a_sample_depends_on_its_own_input_alone(name, shape, condition):
    """So that R1's per-sample gradients, the bound of js and a batch cut in two are what they seem."""
    G, D, _ = make(name, shape, condition)
    z, x, y = inputs(G, shape)
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
    G, D, _ = make(name, shape, condition)
    z, _, y = inputs(G, shape, 64)
    with torch.no_grad():
        for parameter in (*G.parameters(), *D.parameters()):
            if parameter.dim() > 1 and not parameter.any():  # the end of a residual branch that starts at 0
                parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
    D(G(z, y), y).sum().backward()
    for network in (G, D):
        for weight_name, parameter in network.named_parameters():
            assert parameter.grad is not None, weight_name
            assert parameter.grad.abs().sum() > 0, weight_name


@every_conditional
def test_condition_changes_both_players_only_where_it_is_used(name, shape):
    for condition, seen in (("concat", True), ("none", False)):
        G, D, _ = make(name, shape, condition)
        z, x, y = inputs(G, shape)
        other = (y + 1) % CLASSES
        for network, given in ((G, z), (D, x)):
            changed = (network(given, y) != network(given, other)).reshape(N, -1).any(1)
            assert changed.all() if seen else not changed.any()


@every_conditional
def test_every_class_is_told_from_every_other(name, shape):
    G, D, _ = make(name, shape, "concat")
    z, x, _ = inputs(G, shape, 64)
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
    G, *_ = make(name, shape, z_dim=17)
    assert G.latents(3, torch.Generator()).shape == (3, 17)
    assert G(torch.zeros(3, 17), None).shape == (3, *shape)


@pytest.mark.parametrize("name", MODELS)
def test_latents_are_standard_normal_by_their_generator(name):
    G = build("model", {"name": name, "z_dim": 10}).generator(
        Spec((1, 8, 8) if name in IMAGES_ONLY else (2,))
    )
    z, again = (G.latents(20_000, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(z, again)
    assert z.mean(0).abs().max() < 5 / math.sqrt(20_000)
    assert (z.T.cov() - torch.eye(10)).abs().max() < 5 * math.sqrt(2 / 20_000)


@every_model_and_shape
def test_first_weights_depend_on_the_seed_alone(name, shape):
    def weights(seed: int) -> Tensor:
        return torch.cat(
            [
                p.flatten()
                for network in build_networks(config(name, seed, shape), Spec(shape))
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


def config(name: str, seed: int, shape: tuple[int, ...]):
    plain = composed("dataset=ring", "device=cpu", "metric=none", "name=test") | {
        "seed": seed,
        "model": {"name": name, "width": 8},
    }
    return resolve(plain, Spec(shape))


@pytest.mark.parametrize("shape", [*SHAPES, (1, 7, 30), (3, 4, 4)], ids=str)
def test_auto_picks_a_model_that_fits_and_never_stays_auto(shape):
    model = config("auto", 0, shape).model
    assert model.name != "auto"
    assert model.why_unsupported(Spec(shape)) is None
    assert model.width == 8
    G, D = model.build(Spec(shape))
    assert D(G(G.latents(2, torch.Generator()), None), None).shape == (2,)


@pytest.mark.parametrize("shape", [(1, 7, 30), (3, 4, 4), (2,)], ids=str)
def test_dcgan_refuses_points_and_small_images(shape):
    assert isinstance(build("model", {"name": "dcgan"}).why_unsupported(Spec(shape)), str)


@pytest.mark.parametrize("name", MODELS)
def test_models_have_no_batch_norm_by_default(name):
    fits = build("model", {"name": name}).why_unsupported(Spec((1, 16, 16), CLASSES)) is None
    shape = (1, 16, 16) if fits else (2,)
    G, D, _ = make(name, shape)
    assert not any(isinstance(m, BatchNorm) for p in (G, D) for m in p.modules())
    assert not G.has_batch_stats


# Conditions of every kind, in every way that players see them

KINDS = {
    "class": Spec((2,), CLASSES),
    "vector": Spec((2,), condition=ConditionSpec(("left", "high"), ((0.0, 1.0), (1.5, 0.0), (-1.0, 0.5)))),
    "words": Spec(
        (2,),
        condition=ConditionSpec(("red", "blue", "big"), ((1.0, 0.0), (3.0, 1.0), (3.0, 2.0)), words=True),
    ),
}
every_condition = pytest.mark.parametrize(
    ("kind", "condition", "name", "shape"),
    [
        pytest.param(kind, condition, name, shape, id=f"{kind}-{condition}-{name}")
        for kind in KINDS
        for condition in ("concat", "projection", "conditional_batch_norm")
        for name, shape in (("mlp", (2,)), ("dcgan", (1, 9, 12)), ("stylegan2", (1, 9, 12)))
        if condition in REGISTERED["model"][name].fits.get("condition", Fit((condition,), "")).values
    ],
)


def conditional(kind: str, condition: str, name: str, shape: tuple[int, ...], **options):
    spec = dataclasses.replace(KINDS[kind], shape=shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        G, D = build("model", {"name": name, "width": 8, "condition": condition, **options}).build(spec)
    asked = spec.conditions()
    generator = torch.Generator().manual_seed(1)
    return G, D, G.latents(6, generator), torch.randn(6, *shape, generator=generator), asked


@every_condition
def test_both_players_tell_every_condition_from_every_other(kind, condition, name, shape):
    G, D, z, x, asked = conditional(kind, condition, name, shape)
    G.eval()
    for network, given in ((G, z), (D, x)):
        outs = [network(given, y.expand(6, *y.shape)) for y in asked]
        for a, b in itertools.combinations(outs, 2):
            assert (a - b).abs().max() > 1e-4


@every_condition
@pytest.mark.parametrize("source", ["z", "both"])
def test_conditional_gradient_reaches_every_parameter(kind, condition, name, shape, source):
    G, D, _, _, asked = conditional(kind, condition, name, shape, source=source)
    y = asked[torch.arange(48) % 3]
    logits = D(G(G.latents(48, torch.Generator().manual_seed(2)), y), y)
    (logits * torch.randn(48, generator=torch.Generator().manual_seed(3))).sum().backward()
    for network in (G, D):
        for weight, parameter in network.named_parameters():
            assert parameter.grad is not None, weight
            assert parameter.grad.abs().sum() > 0, weight


@every_condition
def test_conditional_sample_is_independent_of_its_batch(kind, condition, name, shape):
    G, _, z, _, asked = conditional(kind, condition, name, shape)
    with torch.no_grad():
        for _ in range(3):
            G(z + 1, asked[torch.arange(6) % 3])  # moves the statistics of batches, where there are any
        G.eval()
        y = asked[torch.arange(6) % 3]
        together = G(z, y)
        alone = torch.cat([G(z[i : i + 1], y[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_word_embedding_ignores_order_and_padding():
    condition = ConditionEmbedding(KINDS["words"], "concat")
    like = torch.zeros(3, 1)
    e = condition(torch.tensor([[1, 3, 0], [3, 1, 0], [0, 3, 1]]), like)
    torch.testing.assert_close(e, condition.words(torch.tensor([1, 3])).mean(0).expand(3, -1))
    assert (condition(torch.tensor([[1, 2, 0]]), like[:1]) - e[:1]).abs().max() > 1e-3
    assert torch.equal(
        condition(torch.zeros(1, 3, dtype=torch.int64), like[:1]), torch.zeros(1, condition.width)
    )


@pytest.mark.parametrize("shape", [(7,), (7, 4, 5)], ids=["points", "images"])
def test_conditional_batch_norm_adds_gain_and_offset(shape):
    generator = torch.Generator().manual_seed(0)
    norm, plain = (
        ConditionalBatchNorm(7, 3),
        (nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d)(7, affine=False),
    )
    with torch.no_grad():
        norm.affine.bias.copy_(torch.randn(14, generator=generator))
    e = torch.eye(3)[torch.arange(12) % 3]
    for training in (True, True, False):
        norm.train(training)
        plain.train(training)
        x = 2 + 3 * torch.randn(12, *shape, generator=generator)
        gain, offset = norm.affine(e).chunk(2, 1)
        lift = (...,) + (None,) * (len(shape) - 1)
        torch.testing.assert_close(norm(x, e), plain(x) * (1 + gain[lift]) + offset[lift])
    torch.testing.assert_close(norm.mean, plain.running_mean)
    torch.testing.assert_close(norm.var, plain.running_var)


# What makes two samples differ


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "shape"), [("mlp", (2,)), ("dcgan", (1, 9, 12))])
def test_dropout_is_a_function_of_the_latents(name, shape, training):
    G, _, _ = make(name, shape, source="dropout", width=32)
    G.train(training)
    latents = G.latents(40, torch.Generator().manual_seed(0))
    x = G(latents, None).flatten(1)
    assert torch.equal(x, G(latents, None).flatten(1))
    assert torch.cdist(x, x).add(torch.eye(40) * 9).min() > 0  # no two samples are the same
    z, masks = G.parts(latents)
    assert torch.equal(z, torch.ones(40, 1))
    assert [m.shape[1] for m in masks] == G.units


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("source", ["z", "dropout", "both"])
def test_dropout_masks_have_their_rate_and_mean_1(source, share):
    G, _ = build("model", {"name": "mlp", "width": 50, "depth": 2, "source": source, "dropout": share}).build(
        Spec((2,))
    )
    latents = G.latents(4000, torch.Generator().manual_seed(3))
    z, masks = G.parts(latents)
    assert latents.shape == (4000, (1 if source == "dropout" else 64) + (0 if source == "z" else 100))
    assert (masks is None) == (source == "z")
    if masks is not None:
        kept = torch.cat(masks, 1)
        assert set(kept.unique().tolist()) == {0.0, torch.tensor(1 / (1 - share)).item()}
        # Binomial: 5 standard errors of a share over 400,000 draws.
        assert abs(float((kept == 0).float().mean()) - share) < 5 * math.sqrt(
            share * (1 - share) / kept.numel()
        )
        assert abs(float(kept.mean()) - 1) < 5 * math.sqrt(share / (1 - share) / kept.numel())
    if source == "both":
        assert abs(float(z.std()) - 1) < 0.01


@pytest.mark.parametrize(("name", "shape"), [("mlp", (2,)), ("dcgan", (1, 9, 12))])
def test_dropout_masks_of_one_and_of_zero(name, shape):
    plain, _, _ = make(name, shape)
    masked, _, _ = make(name, shape, source="both")
    z = plain.latents(5, torch.Generator().manual_seed(0))
    ones = torch.ones(5, sum(masked.units))
    assert torch.equal(masked(torch.cat([z, ones], 1), None), plain(z, None))
    silent = masked(torch.cat([z, 0 * ones], 1), None).flatten(1)
    torch.testing.assert_close(silent, silent[:1].expand_as(silent))


def test_a_model_without_layers_refuses_dropout():
    assert isinstance(build("model", {"name": "line", "source": "both"}).why_unsupported(Spec((2,))), str)
