"""What a model is: a recipe that builds G and D for a data spec."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from gantrain.core.judgement import Judgement
from gantrain.core.spec import Spec
from gantrain.models.layers import AUXILIARY
from gantrain.models.norms import add_spectral_norms, batch_statistics
from gantrain.registry import option

MAX_Z_DIM = 65536


class Player(nn.Module):
    """G or D."""

    @property
    def has_batch_stats(self) -> bool:
        """Whether it has running statistics of batch norm, which the EMA copy must track for its own weights."""
        return bool(batch_statistics(self))

    def scalars(self) -> dict[str, Tensor]:
        """Return 0-dim values to log as ``generator/<name>`` or ``discriminator/<name>``; networks have none."""
        return {}


class Discriminator(Player):
    """``D(x, y) -> logits``: x [N, *shape], y [N, ...] or None, logits [N], positive for real."""

    def judge(self, x: Tensor, y: Tensor | None = None) -> Judgement:
        """Return the logits with what ``Model.d_says`` names beside them; by default they are all."""
        return Judgement(self(x, y))

    def dropout_masks(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw masks of dropout for ``n`` samples of an update on the CPU, one row a sample or a pack.

        They are named as the buffers that they replace while D is trained, which are None otherwise.
        """
        return {}


class Generator(Player):
    """Maps latents to samples. A latent is z followed by the dropout masks, if there are any.

    With the masks in the latent a sample is a deterministic function of it: dropout stays on when sampling, as a
    source of noise must (Isola et al. 2017, sec. 3.2), and the same seed gives the same samples.

    Args:
        model: Its ``source``, ``z_dim`` and ``dropout`` define the latent.
        units: Units of each layer that dropout may zero.

    Attributes:
        has_styles: Whether samples are made of styles w, not of z: path lengths are then in w, and a sample is
            truncated towards the mean w, by a last number of its latent, psi.
        has_uniform_z: Whether ``parts`` returns z uniform on (-1, 1).
        noise_width: Standard normal numbers that follow z in a latent and are no part of it.
    """

    has_styles: ClassVar[bool] = False
    has_uniform_z: bool = False
    noise_width: int = 0

    def __init__(self, model: Model, units: list[int]):
        super().__init__()
        # Without z the first layer gets the constant 1.
        self.has_z = model.source != "dropout"
        self.z_dim = model.z_dim if self.has_z else 1
        self.units = [] if model.source == "z" else units
        self.dropout = model.dropout

    def latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` latents on the CPU: z ~ N(0, I) [n, z_dim], then masks of 0 and 1 / (1 - dropout)."""
        z = torch.randn(n, self.z_dim, generator=generator) if self.has_z else torch.ones(n, 1)
        if not self.units:
            return z
        # Inverted dropout: units are divided by the keep rate, so that their mean stays.
        mask = torch.rand(n, sum(self.units), generator=generator) >= self.dropout
        return torch.cat([z, mask / (1 - self.dropout)], 1)

    def training_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` latents for an update, which may hold more than those of samples."""
        return self.latents(n, generator)

    def styles(self, latents: Tensor, y: Tensor | None = None) -> Tensor:
        """Return what ``synthesize`` makes samples of, whose changes people see as equal: z where there are no styles.

        Latents are [N, ...], styles [N, z_dim], or [N, layers, w_dim] for a generator by styles.
        """
        return latents[:, : self.z_dim]

    def synthesize(self, styles: Tensor, latents: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the samples [N, *shape] of styles; masks and noise are those of the latents."""
        x: Tensor = self(torch.cat([styles, latents[:, self.z_dim :]], 1), y)
        return x

    def log_prob(self, x: Tensor) -> Tensor | None:
        """Return log p_G(x) in nats, x [N, *shape] to [N], or None where it is intractable, as for a network."""
        return None  # a network's samples lie on a surface of the dimension of z (Goodfellow et al. 2014, sec. 6)

    def parts(self, latents: Tensor) -> tuple[Tensor, list[Tensor] | None]:
        """Return z [N, z_dim] and the mask [N, units] of each layer, None without dropout."""
        z, *masks = latents.split([self.z_dim, *self.units], 1)
        # 2 Phi(z) - 1 of a standard normal z: latents are of one kind for truncation, interpolation and export.
        return torch.erf(z / math.sqrt(2)) if self.has_uniform_z else z, masks or None


class Fit(NamedTuple):
    """What a model can do with one of its keys.

    Attributes:
        values: Those that it can be built with, the usual one first.
        reason: Why with no others, as "has no layer for dropout".
    """

    values: tuple[Any, ...]
    reason: str


@dataclass
class Model(ABC):
    """Keys that every model shares.

    Attributes:
        tractable: Whether G's density is known: ``Generator.log_prob``.
        d_says: What D says beside its logit: ``features``, ``classes``.
        fits: The values of keys that the model can do, where those are not all that the keys allow.
    """

    tractable: ClassVar[bool] = False
    d_says: ClassVar[frozenset[str]] = frozenset()
    fits: ClassVar[Mapping[str, Fit]] = {}

    name: str = option("", "registered name")
    z_dim: int = option(64, "dimension of the standard normal latent z", minimum=1, maximum=MAX_Z_DIM)
    source: str = option(
        "z", "source of G's randomness: the latent z, dropout, or both", choices=("z", "dropout", "both")
    )
    dropout: float = option(0.5, "fraction of G's units that dropout zeroes", above=0, below=1)
    condition: str = option(
        "none",
        "how G and D use the condition: as an input of both; or projected in D, and in G an input or in its batch norm"
        "; or an input of G alone, and D names the class",
        choices=("none", "concat", "projection", "conditional_batch_norm", AUXILIARY),
    )
    spectral_norm: bool = option(False, "divide each weight of D by its spectral norm (Miyato et al. 2018)")
    g_spectral_norm: bool = option(
        False, "divide each weight of G by its spectral norm too (Zhang et al. 2019, sec. 3.1)"
    )
    minibatch_std: bool = option(False, "give D the batch's standard deviation (Karras et al. 2018, sec. 3)")
    packing: int = option(1, "samples that D classifies jointly (Lin et al. 2018)", minimum=1, maximum=64)

    def why_unsupported(self, spec: Spec) -> str | None:
        """Return why the model cannot be built for this data with these keys, or None if it can."""
        return next((reason for _, reason, _ in self.misfits(spec)), None)

    def misfits(self, spec: Spec) -> Iterator[tuple[str, str, str]]:
        """Yield each key whose value the model cannot do, why not, and what to do."""
        for key, fit in self.fits.items():
            if getattr(self, key) not in fit.values:
                yield key, f"{self.name} {fit.reason}", f"set model.{key}={str(fit.values[0]).lower()}"

    def learning_rate(self, spec: Spec) -> float:
        """Return a learning rate of Adam that suits both networks for this data."""
        return 1e-3

    def faster(self, spec: Spec) -> str:
        """Return a choice that trains this data faster and how much, as it was measured; empty where none is known."""
        return ""

    @abstractmethod
    def generator(self, spec: Spec) -> Generator:
        """Return a freshly initialised ``G(latents, y) -> x``: y [N, ...] or None, x [N, *shape]."""

    @abstractmethod
    def discriminator(self, spec: Spec) -> Discriminator:
        """Return a freshly initialised ``D(x, y) -> logits``: x [N, *shape], y [N, ...] or None, logits [N]."""

    def build(self, spec: Spec) -> tuple[Generator, Discriminator]:
        """Return G and D; the shared keys (spectral norm, packing) are applied to D here.

        Weights are drawn from torch's global generator; the caller seeds it.
        """
        G = self.generator(spec)
        # A pack of samples is one input with packing times the features or channels.
        D = self.discriminator(replace(spec, shape=(spec.shape[0] * self.packing, *spec.shape[1:])))
        if self.spectral_norm:
            add_spectral_norms(D)
        if self.g_spectral_norm:
            add_spectral_norms(G)
        return G, D if self.packing == 1 else Packed(D, self.packing)

    @property
    def is_conditional(self) -> bool:
        """Whether G and D take a condition."""
        return self.condition != "none"

    @property
    def d_batch_keys(self) -> dict[str, str]:
        """Keys by which D's logit of a sample depends on the others of its batch, each with a value that ends that."""
        keys = {"minibatch_std": "false"} if self.minibatch_std else {}
        # Not every model has norms to choose.
        return keys | ({"d_norm": "layer"} if getattr(self, "d_norm", "none") == "batch" else {})

    @property
    def g_batch_keys(self) -> dict[str, str]:
        """The same of G, whose sample then depends on the other latents of its batch while it is trained."""
        keys = {"condition": "projection"} if self.condition == "conditional_batch_norm" else {}
        return keys | ({"g_norm": "none"} if getattr(self, "g_norm", "none") == "batch" else {})

    @property
    def couples_samples(self) -> bool:
        """Whether D looks across samples: those of a batch, or of a pack."""
        return bool(self.d_batch_keys) or self.packing > 1

    def g_norm_kind(self, norm: str) -> str:
        """Return the kind of ``g_norm`` of G's layers, where ``model.condition`` leaves that to ``model.g_norm``."""
        return "conditional_batch" if self.condition == "conditional_batch_norm" else norm


class Packed(Discriminator):
    """D on ``pack`` samples at a time, concatenated as features or channels: N samples, N / pack logits."""

    def __init__(self, D: Discriminator, pack: int):
        super().__init__()
        self.D, self._pack = D, pack

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.D(self._packs(x), None)

    def judge(self, x: Tensor, y: Tensor | None = None) -> Judgement:
        return self.D.judge(self._packs(x), None)

    def dropout_masks(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        masks = self.D.dropout_masks(n // self._pack, generator)
        return {f"D.{name}": mask for name, mask in masks.items()}

    def _packs(self, x: Tensor) -> Tensor:
        # [N, C, ...] to [N / pack, pack C, ...]
        return x.reshape(len(x) // self._pack, self._pack * x.shape[1], *x.shape[2:])
