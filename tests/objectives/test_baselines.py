"""Objectives without a D: maximum likelihood is least KL is moment matching; regression is the mean, or the median."""

import math

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.datasets.base import GaussianModes
from gantrain.errors import ConfigError
from gantrain.models.base import Generator
from gantrain.models.gaussian import Gaussian
from gantrain.models.mlp import MLP
from gantrain.objectives.likelihood import Likelihood
from gantrain.objectives.regression import Regression
from gantrain.training.batches import Batches
from gantrain.training.loop import train
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

NO_LATENTS = torch.zeros(0, 1)
MIXTURE = GaussianModes(
    torch.tensor([[-1.0], [2.0]]), torch.tensor([0.255, 1.415]), torch.tensor([0.33, 0.67])
)


def gaussian(mu: float, sigma: float) -> Generator:
    G, _ = Gaussian(mu=mu, sigma=sigma).build(Spec((1,)))
    return G.double()


def quadrature() -> tuple[torch.Tensor, torch.Tensor]:
    """Points and the share of the mixture's mass at each."""
    x = torch.linspace(-20, 25, 200_001, dtype=torch.float64)[:, None]
    return x, MIXTURE.log_prob(x).exp() * float(x[1] - x[0])


@torch.no_grad()
def kl(mu: float, sigma: float) -> float:
    x, mass = quadrature()
    return float((mass * (MIXTURE.log_prob(x) - gaussian(mu, sigma).log_prob(x))).sum())


def test_least_kl_of_a_gaussian_is_that_of_the_f_gan_paper():
    x, mass = quadrature()
    mean = float((mass * x[:, 0]).sum())
    sd = math.sqrt(float((mass * (x[:, 0] - mean).square()).sum()))
    assert mean == pytest.approx(1.01000, abs=1e-5)
    assert sd == pytest.approx(1.83108, abs=1e-5)
    least = kl(mean, sd)
    assert least == pytest.approx(0.282970, abs=2e-6)
    h = 1e-3
    for mu, sigma in ((mean + h, sd), (mean - h, sd), (mean, sd + h), (mean, sd - h)):
        assert kl(mu, sigma) - least == pytest.approx(h * h * (0.5 if mu != mean else 1) / sd**2, rel=2e-2)


def test_likelihood_is_greatest_at_the_moments_of_the_sample():
    x = MIXTURE.sample(999, torch.Generator().manual_seed(0))[0].double()
    mean, sd = float(x.mean()), float(x.std(unbiased=False))
    G = gaussian(mean, sd)
    Likelihood().loss(G, x, None, NO_LATENTS).backward()
    assert (
        max(float(p.grad.abs().max()) for p in G.parameters() if p.grad is not None and p.grad.numel()) < 1e-6
    )
    best = Likelihood().loss(gaussian(mean, sd), x, None, NO_LATENTS).item()
    assert best == pytest.approx(0.5 * math.log(2 * math.pi * math.e * sd * sd), abs=1e-9)
    for mu, sigma in ((mean + 0.01, sd), (mean, sd * 1.01), (mean - 0.01, sd / 1.01)):
        assert Likelihood().loss(gaussian(mu, sigma), x, None, NO_LATENTS).item() > best


@pytest.mark.parametrize(("norm", "best"), [("l2", torch.mean), ("l1", torch.median)])
def test_regression_is_least_at_the_mean_or_median(norm, best):
    class Table(Generator):
        """One answer for each class, whatever z."""

        def __init__(self):
            super().__init__(MLP(z_dim=1), [])
            self.answers = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))

        def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
            return self.answers[y][:, None]

    generator = torch.Generator().manual_seed(0)
    y = torch.arange(303) % 3
    x = torch.randn(303, 1, generator=generator, dtype=torch.float64).exp() + y[:, None]
    G = Table()
    with torch.no_grad():
        G.answers.copy_(torch.stack([best(x[y == c]) for c in range(3)]))
    objective = Regression(norm=norm)
    least = objective.loss(G, x, y, torch.zeros(303, 1)).item()
    for c in range(3):
        for step in (-0.05, 0.05):
            with torch.no_grad():
                G.answers[c] += step
                assert float(objective.loss(G, x, y, torch.zeros(303, 1))) > least
                G.answers[c] -= step


def test_a_baseline_leaves_d_as_it_was_and_sees_every_batch_once():
    words = [
        "dataset=gaussian",
        "model=gaussian",
        "objective=likelihood",
        "train.steps=5",
        "device=cpu",
        "metric=none",
    ]
    config = resolve(composed(*words, "name=test"))
    runtime, data = Runtime(config.device), config.dataset.load(0)
    state, asked, seen = TrainState.create(config, data.spec, runtime), [], []
    before = {
        name: tensor.clone() for name, tensor in state.tensors().items() if name.startswith(("D/", "opt_D/"))
    }
    inner = Batches(data.train, 32, 0, runtime.device)

    def batches(number: int):
        asked.append(number)
        return inner(number)

    train(state, batches, config, runtime, seen.append, lambda _: None)
    assert asked == [0, 1, 2, 3, 4]
    assert state.batches == 5
    assert {tag for tags in seen for tag in tags} == {"loss/g", "gradient/g"}
    after = state.tensors()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_likelihood_finds_the_moments_of_the_data(run_cli, tmp_path):
    import json

    code, _, error = run_cli(
        "dataset=gaussian_mixture", "model=gaussian", "objective=likelihood", "device=cpu", "run.dir=r",
        "train.steps=1500", "train.batch_size=512", "optimizer.g_lr=2e-2", "metric=none", "train.sample_every=0",
    )  # fmt: skip
    assert code == 0, error
    tail = json.loads((tmp_path / "r" / "result.json").read_text())["tail"]
    config = resolve(composed("dataset=gaussian_mixture"))
    x = config.dataset.load(0).train.x.double()
    # The sample's own moments to what the decaying rate leaves; the mixture's to its standard error besides.
    assert tail["generator/mu"] == pytest.approx(float(x.mean()), abs=0.01)
    assert tail["generator/sigma"] == pytest.approx(float(x.std()), abs=0.01)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["objective=likelihood"], "objective"),
        (["objective=regression", "model.condition=none"], "model.condition"),
        (["objective=regression", "train.update=simultaneous"], "train.update"),
        (["objective=hinge", "train.compare_gradients=true"], "train.compare_gradients"),
        (["train.update=simultaneous", "train.d_gain=0.1"], "train.d_gain"),
    ],
)
def test_what_a_baseline_cannot_do_is_refused_by_its_key(words, key):
    with pytest.raises(ConfigError) as fault:
        resolve(composed(*words))
    assert str(fault.value).startswith(f"{key}: ")
