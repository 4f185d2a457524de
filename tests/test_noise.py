"""Noise is what it says, and what it does to D's number is undone."""

import math

import pytest
import torch

from gantrain.config.moving import present
from gantrain.core.schedules import Ramp, ends
from gantrain.noise import Noise
from gantrain.objectives.base import Logits, Targets
from gantrain.objectives.cross_entropy import NonSaturating

N = 200_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_noise_leaves_inputs_and_logits_as_they_are():
    assert not Noise().instance_noise(torch.Size((3, 2)), seeded()).any()
    logits = torch.linspace(-30, 30, 11)
    assert Noise(instance_std=1.0).undo(logits) is logits


def test_instance_noise_has_its_std_and_falls_to_0():
    noise = Noise(instance_std=0.4, anneal_steps=100)
    moving = {"noise": {key: Ramp(start, end, "linear", 100) for key, start, end in ends(noise)}}
    found = [present(moving, "noise", noise, step).instance_std for step in (0, 25, 100, 500)]
    assert found == pytest.approx([0.4, 0.3, 0.0, 0.0])
    spread = present(moving, "noise", noise, 25).instance_noise(torch.Size((N, 1)), seeded()).std().item()
    assert spread == pytest.approx(0.3, rel=4 / math.sqrt(2 * N))


def test_targets_are_smoothed_on_one_side_and_flipped_at_a_rate():
    noise = Noise(label_smoothing=0.1, label_flip=0.2)
    real, fake = noise.targets(True, N, seeded(1)), noise.targets(False, N, seeded(2))
    for targets in (real, fake):
        assert targets.unique().tolist() == pytest.approx([0.0, 0.9])
    margin = 4 * math.sqrt(0.2 * 0.8 / N)
    assert (real == 0).float().mean().item() == pytest.approx(0.2, abs=margin)
    assert (fake > 0).float().mean().item() == pytest.approx(0.2, abs=margin)


@pytest.mark.parametrize(("smoothing", "flip"), [(0.1, 0.0), (0.0, 0.1), (0.2, 0.05)])
def test_undo_returns_the_posterior_of_the_optimum_under_noise(smoothing, flip):
    """Minimise the noisy loss over D at points of known p / (p + q); its optimum, undone, is that posterior."""
    game, noise = NonSaturating(), Noise(label_smoothing=smoothing, label_flip=flip)
    posterior = torch.tensor([0.05, 0.3, 0.5, 0.8, 0.97], dtype=torch.float64)
    a, b = (1 - smoothing) * (1 - flip), (1 - smoothing) * flip  # mean target of data, of fakes
    logits = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        for p, v in zip(posterior, logits, strict=True):
            as_real, as_fake = game.on_real(v), game.on_fake(v)
            total = (
                total + p * (a * as_real + (1 - a) * as_fake) + (1 - p) * (b * as_real + (1 - b) * as_fake)
            )
        total.backward()
        return total

    optimizer.step(loss)
    torch.testing.assert_close(torch.sigmoid(noise.undo(logits.detach())), posterior, atol=1e-5, rtol=0)


def test_a_smoothed_d_reads_the_whole_js_once_undone():
    """N(0,1) and N(4,1): under alpha = 0.9 the raw bound tops out at 0.587 of 0.633."""
    d, alpha = 4.0, 0.9
    nodes = torch.special.ndtri((torch.arange(N, dtype=torch.float64) + 0.5) / N)
    game, noise = NonSaturating(), Noise(label_smoothing=1 - alpha)

    def smoothed(x: torch.Tensor) -> torch.Tensor:
        return torch.logit(alpha * torch.sigmoid(d * d / 2 - d * x))

    raw = Logits(smoothed(nodes), smoothed(nodes + d))
    assert game.estimate(raw)["js"] == pytest.approx(0.587, abs=1e-3)
    undone = Logits(noise.undo(raw.real), noise.undo(raw.fake))
    assert game.estimate(undone)["js"] == pytest.approx(0.632720, abs=1e-4)


def test_undo_is_finite_where_d_is_beyond_its_optimum():
    assert torch.isfinite(Noise(label_smoothing=0.3).undo(torch.tensor([-200.0, 0.0, 200.0]))).all()


def test_plain_targets_are_the_plain_loss():
    game = NonSaturating()
    logits = Logits(torch.randn(7, generator=seeded()), torch.randn(7, generator=seeded(1)))
    targets = Targets(torch.ones(7), torch.zeros(7))
    torch.testing.assert_close(game.d_loss(logits, targets), game.d_loss(logits))
