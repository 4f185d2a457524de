"""Path length regularisation is its definition, sample by sample, and its mean is kept."""

import pytest
import torch
from small_game import game, same
from torch import nn

from gantrain.core.gradients import Autograd, Functional
from gantrain.core.judgement import Judgement
from gantrain.core.random import stream
from gantrain.core.spec import Spec
from gantrain.penalties.base import GeneratorPass
from gantrain.penalties.path_length import MEAN, PathLength
from gantrain.registry import build

TINY = {"name": "stylegan2", "width": 2, "max_width": 4, "z_dim": 3, "condition": "projection"}
CASES = {
    "styles": (TINY | {"pixel_noise": True}, Spec((2, 8, 9), 3)),
    "z": ({"name": "mlp", "width": 24, "z_dim": 3, "source": "both"}, Spec((2,), 3)),
}
RECIPE = {
    "dataset": {"name": "digits"},
    "model": {"name": "stylegan2", "width": 4, "max_width": 8, "z_dim": 6},
    "penalty": {
        "name": "sum",
        "r1": {"name": "r1"},
        "path_length": {"name": "path_length", "every": 2},
    },
}


def seen_of(G: nn.Module, spec: Spec, derivatives, n: int = 4) -> tuple[PathLength, GeneratorPass]:
    penalty, z = PathLength(decay=0.9), G.training_latents(n, stream(0, 0, "g0")).double()
    seen = GeneratorPass(
        latents=z,
        y=torch.arange(n) % 3,
        real=torch.zeros(n, *spec.shape),
        fake=torch.zeros(n, *spec.shape),
        judgement=Judgement(torch.zeros(n)),
        method=lambda name: getattr(G, name),
        derivatives=derivatives,
        draw=penalty.draw(torch.zeros(n, *spec.shape), stream(0, 0, "penalty")).double(),
        memory={MEAN: torch.tensor(0.25).double()},
    )
    return penalty, seen


def network(case: str) -> tuple[nn.Module, Spec]:
    keys, spec = CASES[case]
    torch.manual_seed(0)
    G = build("model", keys).generator(spec).double().eval()
    for parameter in G.parameters():
        nn.init.normal_(parameter, std=0.5)
    return G, spec


def lengths_of(G: nn.Module, seen: GeneratorPass) -> torch.Tensor:
    """The lengths one sample at a time, by a product of the Jacobian with each unit vector of its styles."""
    lengths = []
    for i in range(len(seen.latents)):
        z, y, u = seen.latents[i : i + 1], seen.y[i : i + 1], seen.draw[i]
        w = G.styles(z, y)
        products = torch.zeros(w[0].numel()).double()
        for k in range(w[0].numel()):
            unit = torch.zeros(w[0].numel()).double()
            unit[k] = 1
            move = torch.func.jvp(lambda w, z=z, y=y: G.synthesize(w, z, y), (w,), (unit.reshape(w.shape),))
            products[k] = (move[1][0] * u).sum()
        layers = 1 if w.dim() == 2 else w.shape[1]
        lengths.append((products.square().sum() / layers).sqrt())
    return torch.stack(lengths).detach()


@pytest.mark.parametrize("derivatives", [Autograd, Functional])
@pytest.mark.parametrize("case", CASES)
def test_path_length_is_that_of_a_loop_over_samples(case, derivatives):
    G, spec = network(case)
    penalty, seen = seen_of(G, spec, derivatives)
    cost, memory = penalty.cost(seen)
    lengths = lengths_of(G, seen)
    assert lengths.min() > 0.01
    torch.testing.assert_close(cost.detach(), (lengths - 0.25).square().mean(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(memory[MEAN], 0.9 * 0.25 + 0.1 * lengths.mean(), rtol=1e-9, atol=1e-12)
    # White noise of the sample's size, over the square root of its pixels
    pixels = spec.numel / spec.shape[0]
    many = penalty.draw(torch.zeros(5000, *spec.shape), stream(0, 0, "penalty"))
    assert float(many.std()) == pytest.approx(pixels**-0.5, rel=0.02)


def test_gradient_of_path_length_reaches_the_mapping():
    """Against differences of the cost: the styles are differentiated too, not taken as given."""
    G, spec = network("styles")
    penalty, seen = seen_of(G, spec, Autograd)
    cost, _ = penalty.cost(seen)
    weights = [G.mapping.layers[0].weight, G.convs[1].conv.weight, G.constant]
    slopes = torch.autograd.grad(cost, weights)
    for weight, slope in zip(weights, slopes, strict=True):
        move = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)).double()
        costs = []
        for sign in (1e-5, -1e-5):
            with torch.no_grad():
                weight.add_(sign * move)
            costs.append(penalty.cost(seen)[0].detach())
            with torch.no_grad():
                weight.sub_(sign * move)
        expected = (costs[0] - costs[1]) / 2e-5
        assert expected.abs() > 1e-5
        torch.testing.assert_close((slope * move).sum(), expected, rtol=1e-4, atol=1e-9)


def test_a_generator_that_ignores_z_has_a_finite_gradient():
    G, spec = network("z")
    with torch.no_grad():
        for parameter in G.parameters():
            parameter.zero_()
    penalty, seen = seen_of(G, spec, Autograd)
    cost, memory = penalty.cost(seen)
    assert float(cost) == 0.25**2
    assert float(memory[MEAN]) == pytest.approx(0.225)
    slopes = torch.autograd.grad(cost, list(G.parameters()), allow_unused=True)
    assert all(slope is None or not slope.isnan().any() for slope in slopes)


def test_path_length_adds_to_r1_and_resumes_with_its_mean():
    whole = game(**RECIPE, steps=4).play()
    of_g = [tags for tags in whole.reports if "loss/g" in tags]
    assert ["loss/g_penalty" in tags for tags in of_g] == [True, False, True, False]
    assert of_g[2]["generator/path_length_mean"] > of_g[0]["generator/path_length_mean"] > 0
    assert all("loss/penalty" in tags for tags in whole.reports if "loss/d" in tags)
    part = game(**RECIPE, steps=3).play()
    resumed = game(**RECIPE, steps=4)
    resumed.state.load(part.state.tensors(), 3, "here")
    resumed.play()
    assert same(whole.state.tensors(), resumed.state.tensors())
