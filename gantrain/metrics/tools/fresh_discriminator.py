"""A discriminator trained from scratch against a frozen generator, and what it achieves on held-out samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gantrain.core.gradients import descend
from gantrain.core.spec import Spec
from gantrain.core.update_rules import Adam
from gantrain.metrics.base import Evaluation
from gantrain.metrics.side import in_chunks
from gantrain.models.layers import ConditionEmbedding

BATCH, RATE, WIDTH, CHECKS = 256, 2e-3, 128, 16
OCTAVES, MAX_FOURIER_DIMS = 6, 8  # frequencies of each coordinate; coordinates at most
MIN_SQUARE_DIMS, MAX_SQUARE_STDS = 3, 5.0  # coordinates at least; standard deviations at which they level off
MAX_STDS = 1000.0  # points farther out are clipped to this, so that training stays finite


class PointFeatures(nn.Module):
    """Points [N, d] with functions of each coordinate, [N, width].

    Up to eight coordinates: the sine and cosine of 1, 2, 4, … times each. A network of plain coordinates is slow to
    learn fine structure (Tancik et al. 2020), such as the width of the ring's modes. From three on: half of each
    square, since the log ratio of two Gaussians is quadratic and a network needs many samples for 64 parabolas; and
    waves whose amplitude falls with their frequency, so that fine structure is learnt last and chance with it.
    """

    def __init__(self, dims: int):
        super().__init__()
        self.has_waves, self.has_squares = dims <= MAX_FOURIER_DIMS, dims >= MIN_SQUARE_DIMS
        self.width = dims * (1 + self.has_squares + 2 * OCTAVES * self.has_waves)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        if self.has_squares:
            parts.append(x.clamp(-MAX_SQUARE_STDS, MAX_SQUARE_STDS).square() / 2)
        if self.has_waves:
            frequencies = 2.0 ** torch.arange(OCTAVES, device=x.device)
            amplitudes = 1 / frequencies if self.has_squares else torch.ones_like(frequencies)
            phases = x[:, :, None] * frequencies
            parts += [(wave * amplitudes).flatten(1) for wave in (phases.sin(), phases.cos())]
        return torch.cat(parts, 1)


class FreshDiscriminator(nn.Module):
    """A discriminator without batch statistics.

    Points are standardised by the training data and get the features of ``PointFeatures``; images pass two
    convolutions. Three layers of 128 units follow, with the condition as input too.

    Args:
        spec: Of the data.
        x: Training data [N, ...]; those of points say what they are standardised by.
        condition: ``concat`` to be given the condition, or ``none``.
    """

    def __init__(self, spec: Spec, x: Tensor, condition: str = "none"):
        super().__init__()
        self.shift: Tensor
        self.scale: Tensor
        self.condition = ConditionEmbedding(spec, condition)
        if spec.is_image:
            self.register_buffer("shift", torch.zeros(1))
            self.register_buffer("scale", torch.ones(1))
            first = nn.Conv2d(spec.shape[0], 32, 3, stride=2, padding=1)
            second = nn.Conv2d(32, 64, 3, stride=2, padding=1)
            self.body = nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), nn.Flatten())
            width = 64 * -(-spec.shape[1] // 4) * -(-spec.shape[2] // 4)
        else:
            std = x.std(0)
            self.register_buffer("shift", x.mean(0))
            self.register_buffer("scale", torch.where(std > 0, std, 1.0))
            features = PointFeatures(spec.numel)
            self.body, width = nn.Sequential(features), features.width
        sizes = [width + self.condition.width, WIDTH, WIDTH, WIDTH]
        layers = [(nn.Linear(i, o), nn.LeakyReLU(0.2)) for i, o in zip(sizes[:-1], sizes[1:], strict=True)]
        self.head = nn.Sequential(*[module for pair in layers for module in pair], nn.Linear(WIDTH, 1))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.body(((x - self.shift) / self.scale).clamp(-MAX_STDS, MAX_STDS))
        return self.head(torch.cat([h, self.condition(y, h)], 1)).squeeze(1)


def bound(terms: Tensor) -> float:
    """Return log 2 + V/2 in nats from D's cross-entropy [2, N]: a lower bound of JSD if D was not fitted to these."""
    return math.log(2) - 0.5 * float(terms.mean(1).sum())


def standard_error(terms: Tensor) -> float:
    """Return the standard error of ``bound``; a sample and the one generated for its condition are a pair."""
    return 0.5 * math.sqrt(float(terms.sum(0).var()) / terms.shape[1])


@dataclass
class Fit:
    """What a fresh D achieves after a number of updates.

    Attributes:
        held_out: Cross-entropy on held-out data and samples, float64 [2, N].
        fitted: The same with data that D was fitted to in place of the held-out ones, [2, M].
    """

    held_out: Tensor
    fitted: Tensor
    _highest: list[float] = field(default_factory=lambda: [-math.inf, -math.inf])

    @classmethod
    def empty(cls, n: int, m: int, device: torch.device) -> Fit:
        """Return one of n held-out samples and m samples of training data without terms."""
        held_out, fitted = (torch.empty(2, size, dtype=torch.float64, device=device) for size in (n, m))
        return cls(held_out, fitted)

    def keep_best(self, held_out: Tensor, fitted: Tensor) -> None:
        """Keep the terms on one half of a D that is better on the other half than those before it."""
        for half in (0, 1):
            value = bound(held_out[:, half::2])
            if value > self._highest[half]:
                self._highest[half] = value
                for kept, terms in ((self.held_out, held_out), (self.fitted, fitted)):
                    kept[:, 1 - half :: 2] = terms[:, 1 - half :: 2]


def check_steps(steps: int) -> set[int]:
    """Return the steps after which D is evaluated: the last, and more early ones, as few data are soon overfitted."""
    return {max(round(steps * 0.75**k), 1) for k in range(CHECKS)}


def fit(evaluation: Evaluation, part: int = 1) -> Fit:
    """Train a fresh D by cross-entropy against the live generator, on 1 / ``part`` of the data and the budget.

    Held-out samples are two halves. The D that is best on one half is evaluated on the other, so that all are used and
    none selects the D that is evaluated on it. They are those of ``divergence/js``.
    """
    device, size = evaluation.device, evaluation.chunk
    real, y = evaluation.real
    fake = evaluation.generate(evaluation.game.G_live, y, "divergence").x
    train, steps = evaluation.data.train, -(-evaluation.suite.refit_steps // part)
    order, draws = (torch.Generator().manual_seed(evaluation.seed) for _ in range(2))
    some = torch.randperm(len(train), generator=order)[: -(-len(train) // part)]
    pool = torch.arange(len(train)) if part == 1 else some
    known, known_y = train.take(some[: len(real)], device)
    # Initial weights use torch's global generator, which training may use too.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(evaluation.seed)
        condition = "concat" if evaluation.conditional else "none"
        D = FreshDiscriminator(evaluation.data.spec, train.x, condition).to(device)
    optimizer = Adam(list(D.parameters()), lr=RATE, beta1=0.9, beta2=0.99)
    due = check_steps(steps)
    best = Fit.empty(len(real), len(known), device)
    for step in range(steps):
        optimizer.lr = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        x, labels = train.take(pool[torch.randint(len(pool), (BATCH,), generator=draws)], device)
        c = evaluation.condition(labels)
        with torch.no_grad():
            z = evaluation.game.latents(BATCH, f"refit {step}").to(device)
            fakes = evaluation.game.G_live(z, c).float()
        # The run's precision is the generator's only: this D is float32 in every run.
        with torch.autocast(device.type, enabled=False):
            both = torch.cat([x, fakes])
            logits = D(both, None if c is None else torch.cat([c, c]))
            loss = softplus(-logits[:BATCH]).mean() + softplus(logits[BATCH:]).mean()
            descend(loss, optimizer, "refit")
            if step + 1 in due:
                with torch.no_grad():
                    on_real, on_fake, on_known = (
                        torch.cat([*in_chunks(D, x.split(size), evaluation.condition(c), size)]).double()
                        for x, c in ((real, y), (fake, y), (known, known_y))
                    )
                # -log D(x) and -log(1 - D(G(z)))
                held_out = torch.stack([softplus(-on_real), softplus(on_fake)])
                fitted = torch.stack([softplus(-on_known), softplus(on_fake[: len(known)])])
                best.keep_best(held_out, fitted)
    return best
