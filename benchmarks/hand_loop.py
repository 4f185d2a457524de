"""The lean loop: the same game by hand, with every trick that leaves its mathematics alone; each can be left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, relu, softplus

from gantrain.config.options import Config
from gantrain.training.runtime import keep_memory

# Each trick by its name, with what is done without it.
TRICKS = {
    "memory": "pictures decoded by a DataLoader, not bytes in memory",
    "fused": "Adam of one kernel a tensor, not fused",
    "frozen": "D's weight gradients made in G's step too",
    "detached": "fakes of D's step made with a graph",
    "logits": "sigmoid and its logarithm, not softplus of logits",
    "channels_last": "convolutions on the usual layout",
    "allocator": "freed blocks returned to the system",
    "joint": "data and fakes pass D one after the other",
}
LEAN = frozenset(TRICKS) - {"joint"}  # what a careful hand writes

Losses = tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]


def losses(objective: str, with_logits: bool) -> Losses:
    """Return D's loss of real and fake logits [N], and G's of fake logits."""
    if objective == "hinge":
        return lambda p, q: relu(1 - p).mean() + relu(1 + q).mean(), lambda q: -q.mean()
    if objective == "wasserstein":
        return lambda p, q: q.mean() - p.mean(), lambda q: -q.mean()
    if with_logits:
        return lambda p, q: softplus(-p).mean() + softplus(q).mean(), lambda q: softplus(-q).mean()

    def cost(logits: Tensor, label: float) -> Tensor:
        return binary_cross_entropy(torch.sigmoid(logits), torch.full_like(logits, label))

    return lambda p, q: cost(p, 1.0) + cost(q, 0.0), lambda q: cost(q, 1.0)


def penalty_cost(config: Config, D: nn.Module, real: Tensor, fake: Tensor) -> Tensor | float:
    """Return the penalty of the game on D: none, R1, or that of WGAN-GP."""
    name = config.penalty.name
    if name == "none":
        return 0.0
    gamma = config.penalty.gamma  # type: ignore[attr-defined]
    share = torch.rand(len(real), *[1] * (real.dim() - 1))
    x = (real if name == "r1" else share * real + (1 - share) * fake).detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(D(x, None).sum(), x, create_graph=True)
    squared = slope.flatten(1).square().sum(1)
    return 0.5 * gamma * squared.mean() if name == "r1" else gamma * (squared.sqrt() - 1).square().mean()


def batches(config: Config, in_memory: bool) -> Iterator[Tensor]:
    """Yield random batches of the training data for ever, float32."""
    if not in_memory:
        from benchmarks import tutorials

        yield from tutorials.batches(config)
    split = config.dataset.load(0).train
    while True:
        yield split.take(torch.randint(len(split), (config.train.batch_size,)))[0]


def play(config: Config, tricks: frozenset[str] = LEAN) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Play the game of a config by hand: yield G and D after each step."""
    if "allocator" in tricks:
        keep_memory()
    G, D = config.model.build(config.spec)
    if "channels_last" in tricks and config.spec.is_image:
        for net in (G, D):
            net.to(memory_format=torch.channels_last)
    rate, is_fused = config.optimizer.g_lr, "fused" in tricks
    opt_G, opt_D = (
        torch.optim.Adam(net.parameters(), lr=rate, betas=(0.5, 0.99), fused=is_fused) for net in (G, D)
    )
    d_loss, g_loss = losses(config.objective.name, "logits" in tricks)
    is_joint = "joint" in tricks and not config.model.couples_samples
    data, n, z_dim = batches(config, "memory" in tricks), config.train.batch_size, config.model.z_dim
    while True:
        for _ in range(config.train.d_steps):
            real = next(data)
            with torch.no_grad() if "detached" in tricks else nullcontext():
                fake = G(torch.randn(len(real), z_dim), None)
            if is_joint:
                on_real, on_fake = D(torch.cat([real, fake]), None).split(len(real))
            else:
                on_real, on_fake = D(real, None), D(fake, None)
            loss = d_loss(on_real, on_fake) + penalty_cost(config, D, real, fake)
            opt_D.zero_grad(set_to_none=True)
            loss.backward()
            opt_D.step()
        D.requires_grad_("frozen" not in tricks)
        loss = g_loss(D(G(torch.randn(n, z_dim), None), None))
        opt_G.zero_grad(set_to_none=True)
        loss.backward()
        opt_G.step()
        D.requires_grad_(True)
        yield G, D
