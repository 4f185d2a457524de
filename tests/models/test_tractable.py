"""Generators that have a density: it is a density, that of their samples, and it is differentiable."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gantrain.core.spec import Spec
from gantrain.metrics.tools.quadrature import cubature
from gantrain.models.base import Generator
from gantrain.registry import build

CASES = {
    "gaussian": {"name": "gaussian", "mu": 0.3, "sigma": 0.7},
    "mixture": {"name": "gaussian", "components": 3},
    "flow": {"name": "flow", "width": 8, "layers": 4},
}
every = pytest.mark.parametrize("case", CASES)
N = 200_000


def made(case: str, d: int, apart: float = 0.3, seed: int = 0) -> Generator:
    """Return a generator in double precision whose every weight was moved from where it starts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        G = build("model", CASES[case]).generator(Spec((d,)))
        with torch.no_grad():
            for parameter in G.parameters():
                parameter.add_(apart * torch.randn_like(parameter))
    return G.double()


def drawn(G: Generator, n: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    z = G.latents(n, torch.Generator().manual_seed(seed)).double()
    with torch.no_grad():
        return z, G(z, None)


@every
@pytest.mark.parametrize("d", [1, 2])
def test_density_integrates_to_1_and_to_the_samples_moments(case, d):
    G = made(case, d)
    _, x = drawn(G, N)
    low, high = x.amin(0), x.amax(0)
    span = high - low

    def terms(at: Tensor) -> Tensor:
        density = G.log_prob(at).exp()[:, None]
        return torch.cat([density, density * at, density * at.square()], 1)

    with torch.no_grad():
        tolerance = torch.full((1 + 2 * d,), 1e-9, dtype=torch.float64)
        found = cubature(terms, low - 4 * span, high + 4 * span, [x[:4096]], tolerance).values
    assert abs(float(found[0]) - 1) < 1e-4  # tails of a flow may reach beyond nine times its samples
    for i, power in enumerate((x, x.square())):
        error = power.std(0) / math.sqrt(N)
        assert ((found[1 + i * d : 1 + (i + 1) * d] - power.mean(0)).abs() < 5 * error).all()


@pytest.mark.parametrize("d", [1, 2, 5])
def test_gaussian_density_is_that_of_torch_distributions(d):
    G = made("gaussian", d)
    L = G.cholesky_factor()[0]
    there = torch.distributions.MultivariateNormal(G.mu[0], covariance_matrix=L @ L.T)
    x = 3 * torch.randn(50, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(G.log_prob(x), there.log_prob(x))
    assert (L.triu(1) == 0).all()


@pytest.mark.parametrize("d", [1, 3])
def test_a_mixture_has_the_density_of_the_same_mixture_elsewhere(d):
    G = made("mixture", d)
    L = G.cholesky_factor()
    parts = torch.distributions.MultivariateNormal(G.mu, covariance_matrix=L @ L.mT)
    shares = torch.distributions.Categorical(torch.ones(3, dtype=torch.float64))
    there = torch.distributions.MixtureSameFamily(shares, parts)
    x = 3 * torch.randn(50, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(G.log_prob(x), there.log_prob(x))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sigma_below_0_is_its_absolute_value(sign):
    G = made("gaussian", 1)
    with torch.no_grad():
        G.mu.fill_(1)
        G.sigma.fill_(sign * 2)
    x = torch.linspace(-5, 5, 11, dtype=torch.float64)[:, None]
    expected = torch.distributions.Normal(torch.tensor(1.0).double(), 2.0).log_prob(x[:, 0])
    torch.testing.assert_close(G.log_prob(x), expected)
    assert {name: float(value) for name, value in G.scalars().items()} == {"mu": 1, "sigma": 2}
    z = torch.tensor([[0.5]], dtype=torch.float64)
    assert G(z, None).item() == 1 + sign


@pytest.mark.parametrize("case", ["gaussian", "flow"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_flow_density_is_the_latents_over_the_volume(case, d):
    """Log p(x) = log N(z) - log|det dx/dz|, the determinant from automatic differentiation."""
    G = made(case, d)
    z, x = drawn(G, 20)
    for one, at in zip(z, x, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda one: G(one[None], None)[0], one)[:, :d]
        base = torch.distributions.Normal(0.0, 1.0).log_prob(one[:d]).sum()
        expected = base - torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(G.log_prob(at[None])[0], expected)


@pytest.mark.parametrize("apart", [0.1, 1.0])
@pytest.mark.parametrize("d", [1, 2, 3, 8])
def test_a_flow_runs_backwards(d, apart):
    G = made("flow", d, apart)
    z, x = drawn(G, 500)
    with torch.no_grad():
        back, slope = G.inverse(x)
    assert back.shape == (500, d)
    torch.testing.assert_close(back, z[:, :d], rtol=1e-5, atol=1e-5)
    assert torch.isfinite(slope).all()


def test_every_number_of_a_flow_depends_on_every_latent():
    """Or the halves would never be mixed, and two halves of a point be independent."""
    G = made("flow", 5)
    z, _ = drawn(G, 3)
    jacobian = torch.autograd.functional.jacobian(lambda one: G(one[None], None)[0], z[0])
    assert (jacobian.abs() > 1e-9).all()


@pytest.mark.parametrize("d", [1, 2])
def test_gaussian_samples_have_its_mean_covariance_and_scalars(d):
    for case in ("gaussian", "mixture"):
        G = made(case, d)
        _, x = drawn(G, N)
        mean, L = G.mu.detach().mean(0), G.cholesky_factor().detach()
        away = G.mu.detach() - mean
        covariance = (L @ L.mT + away[:, :, None] * away[:, None, :]).mean(0)
        scale = covariance.diagonal().sqrt()
        assert ((x.mean(0) - mean).abs() < 5 * scale / math.sqrt(N)).all()
        # Products of two normals have a variance of at most 2 s^2 t^2, those of a mixture not far from it.
        assert ((x.T.cov() - covariance).abs() < 10 * scale[:, None] * scale / math.sqrt(N)).all()
        ends = [""] if d == 1 else ["_0", "_1"]
        for i, end in enumerate(ends):
            assert float(G.scalars()[f"mu{end}"]) == pytest.approx(float(mean[i]))
            assert float(G.scalars()[f"sigma{end}"]) == pytest.approx(float(scale[i]))


def test_each_component_is_drawn_as_often_as_the_others():
    G = made("mixture", 1)
    with torch.no_grad():
        G.mu.copy_(torch.tensor([[-100.0], [0.0], [100.0]]))
    _, x = drawn(G, N)
    shares = torch.stack([((x - at).abs() < 50).double().mean() for at in (-100, 0, 100)])
    assert ((shares - 1 / 3).abs() < 5 * math.sqrt(2 / 9 / N)).all()
    assert float(shares.sum()) == pytest.approx(1)


@every
@pytest.mark.parametrize("d", [1, 2, 3])
def test_likelihood_gradient_is_that_of_finite_differences(case, d):
    G = made(case, d)
    x = torch.randn(40, d, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    G.log_prob(x).mean().backward()
    for name, parameter in G.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        direction = torch.randn_like(parameter)
        with torch.no_grad():
            ends = []
            for sign in (1, -1):
                parameter.add_(sign * 1e-6 * direction)
                ends.append(float(G.log_prob(x).mean()))
                parameter.sub_(sign * 1e-6 * direction)
        slope = float((parameter.grad * direction).sum())
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-7), name


def test_descent_on_the_likelihood_matches_moments():
    """The Gaussian of maximum likelihood has the sample's mean and standard deviation."""
    x = 2 + 3 * torch.randn(500, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    G = made("gaussian", 1)
    rule = torch.optim.LBFGS(
        G.parameters(),
        max_iter=200,
        tolerance_grad=1e-10,
        tolerance_change=1e-15,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        rule.zero_grad()
        value = -G.log_prob(x).mean()
        value.backward()
        return value

    rule.step(loss)
    read = {name: float(value) for name, value in G.scalars().items()}
    assert read["mu"] == pytest.approx(float(x.mean()), abs=1e-6)
    assert read["sigma"] == pytest.approx(float(x.std(unbiased=False)), abs=1e-6)


def test_gaussian_components_start_apart_and_one_at_mu():
    G = build("model", {"name": "gaussian", "mu": 2.0, "sigma": 0.5}).generator(Spec((3,)))
    assert (G.mu == 2).all()
    assert torch.equal(G.cholesky_factor()[0], 0.5 * torch.eye(3))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        several = build("model", {"name": "gaussian", "components": 4}).generator(Spec((3,)))
    assert torch.cdist(several.mu, several.mu).add(torch.eye(4)).min() > 0.1


@every
@pytest.mark.parametrize("d", [1, 2, 4])
def test_latents_are_as_many_as_are_used(case, d):
    G = build("model", CASES[case]).generator(Spec((d,)))
    assert G.latents(2, torch.Generator()).shape == (2, d + (case == "mixture"))
    wide = build("model", CASES[case] | {"z_dim": 9}).generator(Spec((d,)))
    assert wide.latents(2, torch.Generator()).shape == (2, 9)


@pytest.mark.parametrize("name", ["gaussian", "flow"])
def test_what_has_no_density_here_is_refused_with_a_reason(name):
    for spec, keys in (
        (Spec((1, 8, 8)), {}),
        (Spec((2,), 3), {"condition": "concat"}),
        (Spec((2,)), {"source": "both"}),
    ):
        reason = build("model", {"name": name} | keys).why_unsupported(spec)
        assert isinstance(reason, str)
        assert len(reason.split()) > 2
    assert build("model", {"name": name}).why_unsupported(Spec((7,))) is None


@pytest.mark.parametrize(("word", "kind"), [("leaky_relu", nn.LeakyReLU), ("tanh", nn.Tanh), ("elu", nn.ELU)])
@pytest.mark.parametrize("name", ["mlp", "gaussian", "flow"])
def test_the_layers_of_d_bend_as_they_are_told(name, word, kind):
    D = build("model", {"name": name, "depth": 2, "d_activation": word}).discriminator(Spec((2,)))
    bends = [isinstance(m, kind) for m in D.body if not isinstance(m, nn.Linear)]
    assert bends == [True, True]
