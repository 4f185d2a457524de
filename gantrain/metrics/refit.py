"""The divergence by a fresh discriminator: a common scale for every objective and model."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gantrain.core.estimate import Estimate
from gantrain.core.gradients import descend
from gantrain.metrics.base import Evaluation, Metric, RunSpec, in_chunks
from gantrain.metrics.js import JS
from gantrain.models.layers import ConditionEmbedding
from gantrain.registry import option, register

BATCH, RATE, WIDTH, CHECKS = 256, 2e-3, 128, 16
OCTAVES, MAX_FOURIER_DIMS = 6, 8  # frequencies of each coordinate; coordinates at most
MAX_STDS = 1000.0  # points farther out are clipped to this, so that training stays finite


class FourierFeatures(nn.Module):
    """Points [N, d] with the sine and cosine of 1, 2, 4, … times each coordinate, [N, d (1 + 2 octaves)].

    A network of plain coordinates is slow to learn fine structure (Tancik et al. 2020), such as the width of the ring's
    modes.
    """

    def forward(self, x: Tensor) -> Tensor:
        phases = (x[:, :, None] * 2.0 ** torch.arange(OCTAVES, device=x.device)).flatten(1)
        return torch.cat([x, phases.sin(), phases.cos()], 1)


class FreshDiscriminator(nn.Module):
    """A discriminator without batch statistics.

    Points are standardised by the training data, with Fourier features if they have few coordinates; images pass two
    convolutions. Three layers of 128 units follow, with the condition as input too.
    """

    def __init__(self, evaluation: Evaluation):
        super().__init__()
        spec, x = evaluation.data.spec, evaluation.data.train.x
        self.shift: Tensor
        self.scale: Tensor
        self.condition = ConditionEmbedding(spec, "concat" if evaluation.conditional else "none")
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
            has_waves = spec.numel <= MAX_FOURIER_DIMS  # in many dimensions they would be noise to it
            self.body = nn.Sequential(FourierFeatures()) if has_waves else nn.Sequential()
            width = spec.numel * (1 + 2 * OCTAVES * has_waves)
        sizes = [width + self.condition.width, WIDTH, WIDTH, WIDTH]
        layers = [(nn.Linear(i, o), nn.LeakyReLU(0.2)) for i, o in zip(sizes[:-1], sizes[1:], strict=True)]
        self.head = nn.Sequential(*[module for pair in layers for module in pair], nn.Linear(WIDTH, 1))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.body(((x - self.shift) / self.scale).clamp(-MAX_STDS, MAX_STDS))
        return self.head(torch.cat([h, self.condition(y, h)], 1)).squeeze(1)


def losses(D: nn.Module, real: Tensor, fake: Tensor, y: Tensor | None) -> Tensor:
    """Return D's cross-entropy on each sample of data and on each generated one, float64 [2, N]."""
    on_real, on_fake = (in_chunks(D, x, y).double() for x in (real, fake))
    return torch.stack([softplus(-on_real), softplus(on_fake)])  # -log D(x), -log(1 - D(G(z)))


def bound(terms: Tensor) -> float:
    """Return log 2 + V/2 in nats from ``losses`` [2, N]: a lower bound of JSD if D was not fitted to these samples."""
    return math.log(2) - 0.5 * float(terms.mean(1).sum())


def check_steps(steps: int) -> set[int]:
    """Return the steps after which D is evaluated: the last, and more early ones, as few data are soon overfitted."""
    return {max(round(steps * 0.75**k), 1) for k in range(CHECKS)}


def fit(evaluation: Evaluation, real: Tensor, fake: Tensor, y: Tensor | None) -> Tensor:
    """Train a fresh D by cross-entropy against the live generator and return ``losses`` of the best ones, [2, N].

    Held-out samples are two halves. The D that is best on one half is evaluated on the other, so that all are used and
    none selects the D that is evaluated on it. ``real`` are held-out data [N, ...], ``fake`` as many samples of the
    live generator, ``y`` the conditions of both or None.
    """
    steps, device = evaluation.suite.refit_steps, evaluation.device
    train, draws = evaluation.data.train, torch.Generator().manual_seed(evaluation.seed)
    # Initial weights use torch's global generator, which training may use too.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(evaluation.seed)
        D = FreshDiscriminator(evaluation).to(device)
    optimizer = torch.optim.Adam(D.parameters(), lr=RATE, betas=(0.9, 0.99))
    due = check_steps(steps)
    best = torch.empty(2, len(real), dtype=torch.float64, device=device)
    highest = [-math.inf, -math.inf]
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / steps))
        x, labels = train.take(torch.randint(len(train), (BATCH,), generator=draws), device)
        c = evaluation.condition(labels)
        with torch.no_grad():
            z = evaluation.latents(BATCH, f"refit {step}").to(device)
            fakes = evaluation.G_live(z, c).float()
        # The run's precision is the generator's only: this D is float32 in every run.
        with torch.autocast(device.type, enabled=False):
            both = torch.cat([x, fakes])
            logits = D(both, None if c is None else torch.cat([c, c]))
            loss = softplus(-logits[:BATCH]).mean() + softplus(logits[BATCH:]).mean()
            descend(loss, optimizer, "refit")
            # Each half's best D so far sets the losses on the other half.
            if step + 1 in due:
                with torch.no_grad():
                    terms = losses(D, real, fake, y)
                for half in (0, 1):
                    value = bound(terms[:, half::2])
                    if value > highest[half]:
                        highest[half], best[:, 1 - half :: 2] = value, terms[:, 1 - half :: 2]
    return best


@register("metric")
@dataclass
class Refit(Metric):
    """JSD by a D trained from scratch against the frozen live G: one network and budget for every objective.

    A lower bound, as ``divergence/js`` is, but by a D that is independent of the game: of its penalty, noise, packing
    and update ratio. For a conditional model it is of pairs of sample and condition.
    """

    name: str = option("refit", "registered name")
    has_floor = False

    def expected_tags(self, run: RunSpec) -> list[str]:
        has_gap = "divergence/js" in JS().expected_tags(run)
        return ["divergence/js_refit", *["divergence/js_gap"] * has_gap]

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        spec = evaluation.data.spec
        first = f"{OCTAVES} octaves of sines, " if spec.numel <= MAX_FOURIER_DIMS else ""
        if spec.is_image:
            first = "2 convolutions (32 and 64 channels), "
        paired = evaluation.conditional and spec.is_labelled
        return {
            "D": f"fresh, {first}3 layers of {WIDTH}, leaky ReLU",
            "sees": "sample and condition" if paired else "sample",
            "training": f"cross-entropy, Adam, rate {RATE:g} falling to 0 by a cosine",
            "steps": evaluation.suite.refit_steps,
            "batch": BATCH,
            "G": "live weights",
            "split": "fit on train; two halves of holdout, the D that is best on one is read on the other",
            "n_fit": len(evaluation.data.train),
            "n": evaluation.n,
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        # The samples are those of ``divergence/js``, so the gap is the difference of the two numbers.
        x, y = evaluation.real
        fake, _ = evaluation.generate(evaluation.G_live, y, "divergence")
        with torch.inference_mode(False), torch.enable_grad():
            terms = fit(evaluation, x, fake, y)
        value = bound(terms)
        error = 0.5 * math.sqrt(float((terms.var(1) / evaluation.n).sum()))  # standard error of ``bound``
        tags: dict[str, float] = {
            "divergence/js_refit": Estimate(value, error, evaluation.n, is_lower_bound=True)
        }
        # A baseline has no D; the divergence of packs and batches is another quantity.
        if evaluation.objective.has_game and not evaluation.couples_samples:
            estimates = evaluation.objective.estimate(JS.logits(evaluation))
            if "js" in estimates:
                tags["divergence/js_gap"] = value - estimates["js"]
        return tags
