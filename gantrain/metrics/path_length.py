"""How far a sample moves, as people see it, for a small step of its latent."""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from gantrain.core.estimate import Estimate
from gantrain.core.weights_place import download_folder
from gantrain.errors import DataError
from gantrain.features.tools.pictures import levels, why_no_photographs
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.metrics.evaluation import in_double
from gantrain.models.base import Generator
from gantrain.registry import option, register

EPSILON = 1e-4  # of the way between two latents
BATCH = 64  # pairs of samples that are compared at a time
PERCENTILES = 1, 99  # between which distances count
VGG = "https://download.pytorch.org/models/vgg16-397923af.pth"
LAYERS = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-vgg16-lpips.pth"
FILES = {  # of LPIPS (Zhang et al. 2018), with the SHA-256 of each
    VGG: "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    LAYERS: "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
}


def why_no_weights() -> str | None:
    """Return which file of LPIPS is absent and where to get it, or None when all are here."""
    for url in FILES:
        if not (download_folder() / url.rpartition("/")[2]).is_file():
            return f"LPIPS has no weights here: download {url} into {download_folder()}"
    return None


@functools.cache
def lpips(device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """Return torch-fidelity's LPIPS of bytes [N, 3, H, W] at 64 x 64 pixels. Raises DataError for other weights."""
    for url, published in FILES.items():
        path = download_folder() / url.rpartition("/")[2]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != published:  # torch-fidelity would open it as a pickle, which may run code
            what = f"is not the published file: its SHA-256 begins with {digest[:12]}, not {published[:12]}"
            raise DataError(path, what, f"download {url} again")
    from torch_fidelity.sample_similarity_lpips import SampleSimilarityLPIPS

    network = SampleSimilarityLPIPS(
        "lpips-vgg16", sample_similarity_resize=64, sample_similarity_dtype="uint8"
    )
    return network.to(device)


@register("metric")
@dataclass
class PathLength(Metric):
    """Perceptual path length (Karras et al. 2019) along straight lines in z, or in w of a generator by styles.

    With torch-fidelity's defaults: LPIPS between the samples at 0 and 0.0001 of the way from one latent to another,
    over the square of that, averaged without the lowest and the highest hundredth. Small is smooth; a G that ignores z
    has 0. Dropout masks and noise stay.
    """

    name: str = option("path_length", "registered name")
    needs_game = True
    has_floor = False
    compares_real = False
    tags = ("generator/path_length",)

    def why_unsupported(self, run: RunSpec) -> str | None:
        return why_no_photographs(run.spec) or why_no_weights()

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        own = {"distance": "LPIPS, VGG16, 64 x 64, 8 bits", "step": EPSILON, "percentiles": list(PERCENTILES)}
        # Earlier results, which were all in z, do not say so.
        space = {"space": "w"} if evaluation.game.G.has_styles else {}
        return super().protocol(evaluation) | own | space

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        distances = path_lengths(evaluation, lpips(evaluation.device))
        low = distances.quantile(PERCENTILES[0] / 100, interpolation="lower")
        high = distances.quantile(PERCENTILES[1] / 100, interpolation="higher")
        inner = distances[(distances >= low) & (distances <= high)]
        # Of a trimmed mean: what is trimmed counts as far as the trimming (Tukey and McLaughlin 1963).
        spread = float(distances.clamp(low, high).std()) * len(distances) / len(inner)
        error = spread / len(distances) ** 0.5 if len(inner) > 1 else None
        return {"generator/path_length": Estimate(float(inner.mean()), error, len(inner))}


def path_lengths(evaluation: Evaluation, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the distance of each pair of samples over the square of the step, float64 [n]."""
    game, found = evaluation.game, []
    start, end = (game.latents(evaluation.n, f"path {side}") for side in ("start", "end"))
    G = cast(Generator, game.G)
    y = evaluation.condition(evaluation.reals.y)
    for rows in torch.arange(evaluation.n).split(BATCH):
        c = None if y is None else y[rows.to(y.device)]
        z, other = (latents[rows].to(evaluation.device) for latents in (start, end))
        w = G.styles(z, c)
        moved = w + EPSILON * (G.styles(other, c) - w)
        pair = [levels(G.synthesize(styles, z, c)).byte() for styles in (w, moved)]
        found.append(in_double(distance(*pair).flatten()) / EPSILON**2)
    return torch.cat(found)
