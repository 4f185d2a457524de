"""Keys of networks of plain layers, which published experiments differ in: the latent, and the initial weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from gantrain.registry import option

Network = TypeVar("Network", bound=nn.Module)


@dataclass
class PlainLayers:
    """Keys of models of linear and convolutional layers."""

    prior: str = option(
        "normal", "distribution of z: standard normal, or uniform on (-1, 1)", choices=("normal", "uniform")
    )
    initial: str = option(
        "default",
        "distribution of initial weights: torch's own, uniform over +-1 / sqrt(inputs); N(0, scale^2); uniform over "
        "+-scale; or orthogonal matrices times scale",
        choices=("default", "normal", "uniform", "orthogonal"),
    )
    initial_scale: float = option(0.02, "scale of initial weights that are not torch's", above=0)
    d_initial_scale: float | None = option(None, "scale of D's; null is model.initial_scale", above=0)

    def initialise(self, network: Network, scale: float | None = None) -> Network:
        """Draw the weights anew from torch's global generator, with biases of 0, and return the network."""
        scale = scale or self.initial_scale
        for layer in [] if self.initial == "default" else network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                if self.initial == "normal":
                    nn.init.normal_(layer.weight, std=scale)
                elif self.initial == "uniform":
                    nn.init.uniform_(layer.weight, -scale, scale)
                else:
                    nn.init.orthogonal_(layer.weight, gain=scale)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        return network
