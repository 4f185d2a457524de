"""The loops that people start from, restated from their mathematics: a DataLoader of pictures, a print a step.

None of them freezes D while G learns, Adam is torch's default, the noise is torch's, losses are read with ``item``.
"""

from collections.abc import Callable, Iterator

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from gantrain.config.options import Config

PENALTY_WEIGHT = 10.0


class Pictures(Dataset[Tensor]):
    """Pictures that are turned into tensors one by one."""

    def __init__(self, pixels: Tensor):
        self.pixels = pixels
        middle = [0.5] * pixels.shape[1]
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(middle, middle)])

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> Tensor:
        picture = Image.fromarray(self.pixels[i].permute(1, 2, 0).squeeze(2).numpy())
        return self.transform(picture)


def batches(config: Config) -> Iterator[Tensor]:
    """Yield shuffled batches for ever, with a line at the end of each epoch."""
    pixels: Tensor = config.dataset.pixels()  # type: ignore[attr-defined]
    loader = DataLoader(Pictures(pixels), batch_size=config.train.batch_size, shuffle=True)
    epoch = 0
    while True:
        yield from loader
        epoch += 1
        print(f"epoch {epoch}")


def players(config: Config) -> tuple[nn.Module, nn.Module, torch.optim.Optimizer, torch.optim.Optimizer]:
    """Return G, D, and an Adam for each."""
    if hasattr(config.model, "folded"):
        config.model.folded = False  # a trick of ours
    G, D = config.model.generator(config.spec), config.model.discriminator(config.spec)
    if config.model.spectral_norm:
        for layer in [m for m in D.modules() if isinstance(m, nn.Linear | nn.Conv2d)]:
            nn.utils.spectral_norm(layer)
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (G, D))
    return G, D, opt_G, opt_D


def cross_entropy(config: Config) -> Iterator[None]:
    """Play Goodfellow's game with probabilities: D on data, D on fakes, then G."""
    G, D, opt_G, opt_D = players(config)
    criterion = nn.BCELoss()
    for i, real in enumerate(batches(config)):
        valid, wrong = torch.ones(len(real)), torch.zeros(len(real))
        fake = G(torch.randn(len(real), config.model.z_dim))

        opt_D.zero_grad()
        loss_real = criterion(torch.sigmoid(D(real)), valid)
        loss_real.backward()
        loss_fake = criterion(torch.sigmoid(D(fake.detach())), wrong)
        loss_fake.backward()
        opt_D.step()

        opt_G.zero_grad()
        loss_G = criterion(torch.sigmoid(D(fake)), valid)
        loss_G.backward()
        opt_G.step()
        print(f"step {i} loss_D {loss_real.item() + loss_fake.item():.4f} loss_G {loss_G.item():.4f}")
        yield


def hinge(config: Config) -> Iterator[None]:
    """Play the hinge game of SNGAN with one update of each."""
    G, D, opt_G, opt_D = players(config)
    for i, real in enumerate(batches(config)):
        opt_D.zero_grad()
        fake = G(torch.randn(len(real), config.model.z_dim)).detach()
        loss_D = torch.relu(1.0 - D(real)).mean() + torch.relu(1.0 + D(fake)).mean()
        loss_D.backward()
        opt_D.step()

        opt_G.zero_grad()
        loss_G = -D(G(torch.randn(len(real), config.model.z_dim))).mean()
        loss_G.backward()
        opt_G.step()
        print(f"step {i} loss_D {loss_D.item():.4f} loss_G {loss_G.item():.4f}")
        yield


def wasserstein(config: Config) -> Iterator[None]:
    """Play WGAN-GP; a step is ``d_steps`` updates of the critic, through a graph that reaches G, and one of G."""
    G, D, opt_G, opt_D = players(config)
    for i, real in enumerate(batches(config)):
        opt_D.zero_grad()
        fake = G(torch.randn(len(real), config.model.z_dim))
        loss_D = D(fake).mean() - D(real).mean() + PENALTY_WEIGHT * slope_penalty(D, real, fake)
        loss_D.backward()
        opt_D.step()
        if (i + 1) % config.train.d_steps:
            continue

        opt_G.zero_grad()
        loss_G = -D(G(torch.randn(len(real), config.model.z_dim))).mean()
        loss_G.backward()
        opt_G.step()
        print(f"step {i} loss_D {loss_D.item():.4f} loss_G {loss_G.item():.4f}")
        yield


def slope_penalty(D: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean of (|grad D| - 1)^2 on lines between data and fakes."""
    share = torch.rand(len(real), 1, 1, 1)
    between = (share * real.data + (1 - share) * fake.data).requires_grad_(True)
    logits = D(between)
    (slope,) = torch.autograd.grad(
        logits, between, grad_outputs=torch.ones_like(logits), create_graph=True, retain_graph=True
    )
    return ((slope.view(len(slope), -1).norm(2, dim=1) - 1) ** 2).mean()


TUTORIALS: dict[str, Callable[[Config], Iterator[None]]] = {
    "non_saturating": cross_entropy,
    "hinge": hinge,
    "wasserstein": wasserstein,
}
