"""Spectral normalisation of D's weights, whose power iteration is a step of its own: a pure function."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.parametrize import register_parametrization

FIRST_ITERATIONS = 15  # before training, so that the estimate starts near the norm
EPS = 1e-12


class SpectralNorm(nn.Module):
    """Divides a weight by an estimate of its largest singular value, u W v (Miyato et al. 2018, eq. 8).

    The estimate improves by one power iteration in each update of D (their alg. 1), made by ``iterate``; a pass
    through the network, in training or not, changes nothing.

    Args:
        weight: Shape [out, ...], taken as a matrix of ``out`` rows.
    """

    def __init__(self, weight: Tensor):
        super().__init__()
        self._u: Tensor
        self._v: Tensor
        matrix = weight.detach().flatten(1)
        # Named as torch's own, whose checkpoints load.
        u, v = (normalize(torch.randn(size), dim=0, eps=EPS) for size in matrix.shape)
        for _ in range(FIRST_ITERATIONS):
            u, v = power_iteration(matrix, v)
        self.register_buffer("_u", u)
        self.register_buffer("_v", v)

    def forward(self, weight: Tensor) -> Tensor:
        # A copy, since the buffers change in place while a graph may still need these.
        u, v = self._u.clone(), self._v.clone()
        return weight / torch.dot(u, torch.mv(weight.flatten(1), v))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the weight to normalise when one is assigned: that one."""
        return weight


def power_iteration(matrix: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return better estimates of the singular vectors u [rows] and v [columns] of the largest singular value."""
    u = normalize(torch.mv(matrix, v), dim=0, eps=EPS)
    return u, normalize(torch.mv(matrix.t(), u), dim=0, eps=EPS)


def add_spectral_norm(layer: nn.Module) -> None:
    """Normalise the weight of a layer."""
    assert isinstance(layer.weight, Tensor)
    register_parametrization(layer, "weight", SpectralNorm(layer.weight))


def iterate(network: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the network's vectors u and v after one power iteration, by name; a pure function.

    Args:
        network: Its structure; its own tensors are not read.
        tensors: Its parameters and buffers by name.
    """
    after: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        if isinstance(module, SpectralNorm):
            weight = tensors[f"{name.rpartition('.')[0]}.original"].detach()
            after[f"{name}._u"], after[f"{name}._v"] = power_iteration(
                weight.flatten(1), tensors[f"{name}._v"]
            )
    return after
