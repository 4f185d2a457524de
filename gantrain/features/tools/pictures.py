"""From samples in [-1, 1] to what a network that knows photographs expects, as Parmar et al. 2022 (clean-fid) do."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gantrain.core.spec import Spec

# Of the colours of ImageNet, in [0, 1]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def why_no_photographs(spec: Spec) -> str | None:
    """Return why samples of this spec cannot be shown to a network that knows photographs, or None when they can."""
    if not spec.is_image:
        return "looks at images, and this data is not images"
    channels = spec.shape[0]
    return (
        None if channels in (1, 3) else f"looks at grey or colour images, and these have {channels} channels"
    )


def levels(x: Tensor) -> Tensor:
    """Return images [N, 1 or 3, H, W] in [-1, 1] as colours [N, 3, H, W] at the levels 0..255 of a file, float32."""
    return x.float().add(1).mul(127.5).round().clamp(0, 255).expand(-1, 3, -1, -1)


def resize(x: Tensor, side: int) -> Tensor:
    """Return levels [N, 3, H, W] as squares, by bicubic interpolation with antialiasing, not rounded again.

    It equals Pillow's on 32-bit floats, cut to 0..255.
    """
    if x.shape[2:] == (side, side):
        return x
    return interpolate(x, (side, side), mode="bicubic", antialias=True).clamp_(0, 255)


def standardise(x: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return levels minus the mean of each colour, over its standard deviation, both in [0, 1]."""
    centre, scale = (255 * torch.tensor(colours, device=x.device)[:, None, None] for colours in (mean, std))
    return (x - centre) / scale
