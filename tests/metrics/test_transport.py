"""The cost of a map, and the least, for maps where both are known."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from composed import composed
from torch import Tensor, nn

from gantrain.config.resolve import resolve
from gantrain.core.spec import Spec
from gantrain.metrics.base import RunSpec
from gantrain.metrics.transport import Transport
from gantrain.metrics.wasserstein import exact
from gantrain.training.evaluate import evaluation_mode, view
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

SHIFT = torch.tensor([1.0, -2.0])


class Map(nn.Module):
    """A G that is a given map of z."""

    def __init__(self, of: Callable[[Tensor], Tensor]):
        super().__init__()
        self.of = of

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.of(z)


@pytest.fixture(scope="module")
def scene():
    config = resolve(
        composed("dataset=gaussian", "dataset.dim=2", "model.z_dim=2", "device=cpu", "metric.n=300")
    )
    data, runtime = config.dataset.load(config.seed), Runtime(config.device)
    return view(config, data, TrainState.create(config, data.spec, runtime), runtime)


def read(scene, of: Callable[[Tensor], Tensor]) -> dict[str, float]:
    with evaluation_mode(scene):
        return Transport()(replace(scene, players=replace(scene.game, G=Map(of))))


@pytest.mark.slow
def test_transport_of_an_optimal_map_exceeds_nothing(scene):
    """The gradient of a convex function is optimal (Brenier 1991), and so it is for any sample of points."""
    found = read(scene, lambda z: 2 * z + SHIFT)
    z = scene.game.latents(300, "transport")
    assert found["transport/cost"] == pytest.approx((z + SHIFT).square().sum(1).mean().item(), rel=1e-5)
    assert found["transport/excess"] == pytest.approx(0, abs=1e-9)


def test_transport_of_a_turned_map_exceeds_the_least(scene):
    straight, turned = (read(scene, of) for of in (lambda z: z + SHIFT, lambda z: -z + SHIFT))
    assert turned["transport/cost"] > straight["transport/cost"] + 2
    assert turned["transport/excess"] > 0.5
    # What is exact depends on data and latents alone.
    assert turned["transport/exact"] == straight["transport/exact"]


def test_transport_exact_pairs_latents_with_held_out_data(scene):
    found = read(scene, lambda z: z)
    z, real = scene.game.latents(300, "transport"), scene.real[0]
    assert found["transport/exact"] == pytest.approx(exact(z, real, power=2))
    assert found["transport/cost"] == 0
    assert found["transport/excess"] == 0


def test_squared_cost_of_moved_points_is_the_square_of_the_move():
    z = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    assert exact(z, z.flip(0) + SHIFT, power=2) == pytest.approx(5.0, rel=1e-5)


def test_transport_is_for_a_z_as_wide_as_the_data():
    assert Transport().why_unsupported(RunSpec(Spec((2,)), z_dim=2)) is None
    assert "wide" in Transport().why_unsupported(RunSpec(Spec((2,)), z_dim=64))
