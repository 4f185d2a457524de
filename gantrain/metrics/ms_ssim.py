"""How alike two images of a class are: multi-scale structural similarity."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from gantrain.core.estimate import Estimate
from gantrain.core.sampling_error import estimate_from_means
from gantrain.metrics.base import Evaluation, Metric, RunSpec
from gantrain.registry import option, register

WEIGHTS = (
    0.0448,
    0.2856,
    0.3001,
    0.2363,
    0.1333,
)  # of the scales, from the finest (Wang et al. 2003, sec. 3.2)
WINDOW, SIGMA = 11, 1.5  # of the Gaussian window, in pixels
STABILISERS = 0.01**2, 0.03**2  # for images in [0, 1]
MAX_PAIRS = 2000
BYTES = 2**27  # of the pictures of one scale in memory at a time


def scales_of(side: int) -> tuple[int, int]:
    """Return how many scales images with that shorter side have, each at least a window wide, and the window."""
    window = min(WINDOW, side - 1 + side % 2)  # odd
    scales = 1
    while scales < len(WEIGHTS) and -(-side // 2**scales) >= WINDOW:
        scales += 1
    return scales, window


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the similarity in [0, 1] of the images a and b, [N, C, H, W] in [-1, 1], mean over channels, float64 [N].

    Wang, Simoncelli and Bovik 2003, eq. 7, with negative terms as 0; 1 for equal images. Images too small for five
    scales have fewer, whose weights are scaled to a sum of 1, and at least one.
    """
    a, b = (a.double() + 1) / 2, (b.double() + 1) / 2
    scales, window = scales_of(min(a.shape[2:]))
    weights = torch.tensor(WEIGHTS[:scales], dtype=a.dtype, device=a.device)
    if scales < len(WEIGHTS):
        weights /= weights.sum()
    found = []
    for scale in range(scales):
        luminance, structure = _terms(a, b, window)
        found.append((luminance * structure if scale == scales - 1 else structure).mean((2, 3)).clamp(min=0))
        odd = [size % 2 for size in a.shape[2:]]
        a, b = (avg_pool2d(x, 2, padding=odd) for x in (a, b))
    powers = torch.stack(found) ** weights[:, None, None]  # [scales, N, C]
    return powers.prod(0).mean(1)


def _terms(a: Tensor, b: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Return the similarity of luminance, and of contrast and structure, in each window: [N, C, h, w]."""
    c1, c2 = STABILISERS
    mean_a, mean_b = _blurred(a, window), _blurred(b, window)
    of_a, of_b = _blurred(a * a, window) - mean_a**2, _blurred(b * b, window) - mean_b**2
    of_both = _blurred(a * b, window) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * of_both + c2) / (of_a + of_b + c2)


def _blurred(x: Tensor, window: int) -> Tensor:
    """Return the Gaussian means of all whole windows."""
    at = torch.arange(window, dtype=x.dtype, device=x.device) - window // 2
    row = (-at.square() / (2 * SIGMA**2)).exp()
    row = (row / row.sum()).expand(x.shape[1], 1, 1, window)
    return conv2d(conv2d(x, row, groups=x.shape[1]), row.transpose(2, 3), groups=x.shape[1])


@register("metric")
@dataclass
class MsSsim(Metric):
    """Mean MS-SSIM of pairs of samples of one class (Odena, Olah and Shlens 2017, sec. 4.2).

    Above that of real data samples of a class are more alike than data are: collapse within a class. Noise is near 0,
    so that less is not better. Each sample is in one pair at most; data without classes are one class.
    """

    name: str = option("ms_ssim", "registered name")
    tags = ("diversity/ms_ssim",)
    compares_real = False

    def why_unsupported(self, run: RunSpec) -> str | None:
        return None if run.spec.is_image and min(run.spec.shape[1:]) > 1 else "it is for images"

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        scales, window = scales_of(min(evaluation.data.spec.shape[1:]))
        own = {"pairs": len(evaluation.once(pairs_of_fakes)), "scales": scales, "window": window}
        return super().protocol(evaluation) | own

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        similarities = evaluation.once(similarities_of_fakes)
        if len(similarities) < 2:
            return {}
        return {"diversity/ms_ssim": Estimate(float(similarities.mean()), n=len(similarities))}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        similarities = evaluation.once(similarities_of_fakes)
        if len(similarities) < 2:
            return {}
        found = estimate_from_means(float(similarities.mean()), similarities)
        return (
            {} if found.error is None else {"diversity/ms_ssim": Estimate(found.error, caveat=found.caveat)}
        )


def pairs_of_fakes(evaluation: Evaluation) -> Tensor:
    """Return pairs of rows of samples of one class, [pairs, 2], that share no sample."""
    y = evaluation.fakes.y
    has_classes = evaluation.conditional and y is not None and y.dim() == 1
    kinds = (
        y.cpu() if has_classes and y is not None else torch.zeros(len(evaluation.fakes), dtype=torch.int64)
    )
    pairs = [(kinds == kind).nonzero()[:, 0] for kind in torch.unique(kinds)]
    found = torch.cat([rows[: len(rows) // 2 * 2].view(-1, 2) for rows in pairs])
    # In the order of the samples, which is random, so that the first pairs are of all classes.
    return found[found[:, 0].argsort()][:MAX_PAIRS]


def similarities_of_fakes(evaluation: Evaluation) -> Tensor:
    """Return ``ms_ssim`` of each pair of samples, [pairs]."""
    side, size = evaluation.fakes, max(1, BYTES // (8 * evaluation.data.spec.numel * 8))
    pairs = evaluation.once(pairs_of_fakes).split(size)
    found = [ms_ssim(*(side.take(rows).cpu() for rows in part.unbind(1))) for part in pairs]
    return torch.cat(found) if found else torch.zeros(0)
