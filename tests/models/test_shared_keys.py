"""What the keys that every model shares make of D: packing, minibatch deviation, spectral norm, projection."""

import json

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.core.spectral_norm import iterate
from gantrain.errors import ConfigError
from gantrain.models.dcgan import DCGAN
from gantrain.models.layers import std_over_batch
from gantrain.models.mlp import MLP

IMAGE, POINT = Spec((3, 8, 9)), Spec((2,))
CASES = [(DCGAN, IMAGE), (MLP, IMAGE), (MLP, POINT)]


def built(recipe, spec, **keys):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return recipe(width=8, **keys).build(spec)


def batch(spec: Spec, n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, *spec.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("recipe", "spec"), CASES)
def test_packed_d_gives_one_logit_for_all_samples_of_a_pack(recipe, spec):
    D = built(recipe, spec, packing=3)[1]
    x = batch(spec, 6)
    logits = D(x, None)
    assert logits.shape == (2,)
    for i in range(6):
        other = x.clone()
        other[i] += 1
        moved = (D(other, None) != logits).tolist()
        assert moved == [i // 3 == 0, i // 3 == 1]


@pytest.mark.parametrize(("recipe", "spec"), CASES)
def test_d_width_is_of_d_alone(recipe, spec):
    def shapes(player: int, **keys) -> list[torch.Size]:
        return [weight.shape for weight in recipe(**keys).build(spec)[player].parameters()]

    assert shapes(0, width=8, d_width=4) == shapes(0, width=8) != shapes(0, width=4)
    assert shapes(1, width=8, d_width=4) == shapes(1, width=4) != shapes(1, width=8)


@pytest.mark.parametrize(("recipe", "spec"), CASES)
def test_minibatch_deviation_sees_a_batch_of_equals(recipe, spec):
    D = built(recipe, spec, minibatch_std=True)[1]
    same = batch(spec, 1).expand(5, *spec.shape)
    with torch.no_grad():
        D.head.linear.weight[:, :-1] = 0  # only the deviation is left
        assert torch.allclose(D(same, None), D.head.linear.bias.expand(5), atol=1e-6)
        assert not torch.allclose(D(batch(spec, 5), None), D.head.linear.bias.expand(5), atol=1e-4)


@pytest.mark.parametrize(("recipe", "spec"), CASES)
def test_spectral_norm_bounds_the_slope_of_d_and_leaves_g(recipe, spec):
    G, D = built(recipe, spec, spectral_norm=True)
    buffers = dict(D.named_buffers())
    for _ in range(60):
        for name, vector in iterate(D, {**dict(D.named_parameters()), **buffers}).items():
            buffers[name].copy_(vector)
    for layer in D.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            top = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item()
            assert top == pytest.approx(1, abs=0.02)
    assert not any("parametrizations" in name for name, _ in G.named_parameters())


def test_std_over_batch_is_torchs_and_twice_differentiable():
    phi = torch.randn(12, 5)
    phi[:, 2] = 0.1  # a unit that is dead for the whole batch
    phi.requires_grad_(True)
    expected = phi.std(0, unbiased=False)
    assert torch.equal(std_over_batch(phi), expected)
    (slope,) = torch.autograd.grad(expected.square().mean(), phi)
    (own,) = torch.autograd.grad(std_over_batch(phi).square().mean(), phi, create_graph=True)
    assert torch.equal(own, slope)
    (second,) = torch.autograd.grad(own.square().sum(), phi)
    torch.testing.assert_close(second, 8 / (5 * 5 * 12 * 12) * (phi - phi.mean(0)).detach())


@pytest.mark.parametrize("recipe", [DCGAN, MLP])
def test_projection_adds_a_product_with_the_class_vector(recipe):
    spec = Spec((1, 8, 8), classes=3)
    D = built(recipe, spec, condition="projection")[1]
    x, y = batch(spec, 4), torch.tensor([0, 1, 2, 0])
    phi = D.body(torch.cat([x.flatten(1)], 1) if recipe is MLP else x)
    expected = D.head.linear(phi).squeeze(1) + (D.head.project.weight.T[y] * phi).sum(1)
    torch.testing.assert_close(D(x, y), expected)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["model.packing=2", "penalty=dragan"], "penalty"),
        (["model.minibatch_std=true", "penalty=wgan_gp"], "penalty"),
        (["model.packing=3"], "model.packing"),
        (["model.packing=2", "objective=conditional"], "model.packing"),
        (["objective=hinge", "noise=labels"], "noise.label_smoothing"),
        (["train.update=simultaneous", "train.g_steps=2"], "train.g_steps"),
        (["model.minibatch_std=true", "model.packing=8", "train.batch_size=8"], "train.batch_size"),
        (["dataset=gaussian", "model=gaussian", "objective=likelihood", "train.d_gain=0"], "train.d_gain"),
        (["dataset=gaussian", "model=gaussian", "model.source=both"], "model.source"),
        (["dataset=dirac", "model.packing=2"], "model.packing"),
        (["dataset=dirac", "objective=conditional"], "model.condition"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_key(words, key):
    with pytest.raises(ConfigError) as refused:
        resolve(composed(*words))
    assert str(refused.value).startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("objective", "tags"),
    [("minimax", ["js"]), ("hinge", ["js", "total_variation"]), ("fgan_js_weighted", ["js_weighted"])],
)
def test_a_d_that_couples_samples_reads_another_tag(objective, tags, run_cli, tmp_path):
    folder = tmp_path / "run"
    words = [
        "dataset=ring",
        "debug=tiny",
        "train.steps=2",
        "metric=js",
        "model.packing=2",
        f"objective={objective}",
    ]
    code, _, _ = run_cli(*words, f"run.dir={folder}")
    assert code == 0
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    found = {tag for tag in metrics if tag.startswith("divergence/")}
    assert found == {f"divergence/{tag}_batch{end}" for tag in tags for end in ("", "_se")}


def test_obsolete_keys_are_unknown_on_the_command_line(run_cli):
    code, _, err = run_cli("dataset=dirac", "model.width=8")
    assert code == 2
    assert "model.width: there is no such key" in err.splitlines()[-1]
