"""Penalties equal their definition, one sample at a time, and keep to their schedule."""

import pytest
import torch
from penalty_costs import cost_of, pass_of
from small_game import game, same
from torch import Tensor, nn

from gantrain.penalties.lecam import LeCam
from gantrain.penalties.r1 import R1, R1R2
from gantrain.penalties.weight_clip import WeightClip
from gantrain.penalties.wgan_gp import DRAGAN, WGANGP


class Curved(nn.Module):
    """A D whose gradient differs from sample to sample."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 1))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net(x).squeeze(1)


def batch(seed: int, n: int = 5) -> Tensor:
    return torch.randn(n, 3, 2, 2, generator=draws(seed))


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def norms(D: nn.Module, x: Tensor) -> list[Tensor]:
    """The norm of each sample's own gradient, taken with no other sample in the batch."""
    found = []
    for one in x.split(1):
        one = one.clone().requires_grad_(True)
        found.append(torch.autograd.grad(D(one).squeeze(), one)[0].norm())
    return found


def test_r1r2_is_the_loop_over_data_and_samples():
    D, real, fake = Curved(), batch(1), batch(2)
    by_hand = sum(torch.stack(norms(D, x)).square().mean() for x in (real, fake)) * 0.7 / 2
    torch.testing.assert_close(cost_of(R1R2(gamma=0.7), D, real, fake, seed=0), by_hand, rtol=1e-6, atol=1e-7)


def test_wgan_gp_has_one_epsilon_and_one_norm_for_each_sample():
    D, real, fake = Curved(), batch(1), batch(2)
    epsilon = torch.rand(5, 1, 1, 1, generator=draws(3))
    by_hand = 10 * (torch.stack(norms(D, epsilon * real + (1 - epsilon) * fake)) - 1).square().mean()
    cost = cost_of(WGANGP(), D, real, fake, seed=3)
    torch.testing.assert_close(cost, by_hand, rtol=1e-6, atol=1e-7)


def test_wgan_gp_is_0_for_a_critic_of_unit_slope():
    class Unit(nn.Module):
        def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
            return x.flatten(1)[:, 0]

    assert cost_of(WGANGP(), Unit(), batch(1), batch(2)).item() == pytest.approx(0, abs=1e-10)


def test_dragan_looks_around_the_data_only():
    D, real = Curved(), batch(1)
    noise = torch.rand(real.shape, generator=draws(4))
    by_hand = 10 * (torch.stack(norms(D, real + 0.5 * real.std() * noise)) - 1).square().mean()
    for fake in (batch(2), 100 * batch(3)):
        cost = cost_of(DRAGAN(), D, real, fake, seed=4)
        torch.testing.assert_close(cost, by_hand, rtol=1e-6, atol=1e-7)


def test_weight_clip_clips_every_weight_and_moves_no_other():
    D = Curved()
    before = [p.detach().clone() for p in D.parameters()]
    after = WeightClip(clip=0.1).project(dict(D.named_parameters()))
    assert list(after) == [name for name, _ in D.named_parameters()]
    for was, now, still in zip(before, after.values(), D.parameters(), strict=True):
        assert torch.equal(now, was.clamp(-0.1, 0.1))
        assert torch.equal(still, was)
    assert any((was.abs() > 0.1).any() for was in before)


def test_lecam_measures_from_the_other_kinds_running_mean():
    D, real, fake = Curved(), batch(1), batch(2)
    a, b = D(real).mean().item(), D(fake).mean().item()
    lecam = LeCam(gamma=1.0, decay=0.5)
    first = pass_of(lecam, D, real, fake)
    expected = (D(real) - b).square().mean() + (D(fake) - a).square().mean()
    torch.testing.assert_close(lecam(first), expected)
    moved = 0.5 * a + 0.5 * D(real + 1).mean().item()
    expected = (D(real + 1) - b).square().mean() + (D(fake) - moved).square().mean()
    second = pass_of(lecam, D, real + 1, fake, memory=first.memory)
    torch.testing.assert_close(lecam(second), expected)
    assert second.memory["real"].item() == pytest.approx(moved, rel=1e-5)
    assert second.memory["fake"].item() == pytest.approx(b, rel=1e-5)
    assert first.memory["real"].item() == pytest.approx(a, rel=1e-5)  # as it was


def test_lecam_keeps_its_means_through_a_checkpoint():
    played = game(penalty="lecam", steps=2).play()
    found, resumed = played.tensors("memory"), game(penalty="lecam").state
    assert set(found) == {"memory/penalty.lecam/real", "memory/penalty.lecam/fake"}
    assert not [name for name in resumed.tensors() if name.startswith("memory/")]  # none yet
    resumed.load(played.state.tensors(), 2, "here")
    assert same(found, {f"memory/{name}": mean for name, mean in resumed.memory.items()})


def test_lecam_reads_the_means_of_an_older_checkpoint():
    tensors = game(penalty="lecam", steps=2).play().state.tensors()
    older = {name.replace("memory/penalty.lecam/", "penalty/"): t for name, t in tensors.items()}
    resumed = game(penalty="lecam").state
    resumed.load(older, 2, "here")
    assert same(tensors, resumed.tensors())


def test_lazy_penalty_costs_as_much_in_total():
    D, real, fake = Curved(), batch(1), batch(2)
    every, lazy = R1(gamma=0.3), R1(gamma=0.3, every=4)
    due = [weight for weight in (lazy.weight(step) for step in range(8)) if weight is not None]
    paid = sum(weight * lazy(pass_of(lazy, D, real, fake)).item() for weight in due)
    assert len(due) == 2
    assert paid == pytest.approx(8 * cost_of(every, D, real, fake).item(), rel=1e-6)
