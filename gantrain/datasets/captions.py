"""Images with captions: one coloured shape on black, described by its size, colour, shape and place."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.spec import ConditionSpec, Spec
from gantrain.datasets.base import Split, Synthetic
from gantrain.registry import option, register

SIZES = {"small": 0.12, "large": 0.2}  # radius of the circle, as a fraction of the image side
COLOURS = {
    "red": (1.0, 0.1, 0.1),
    "green": (0.1, 0.9, 0.1),
    "blue": (0.2, 0.3, 1.0),
    "yellow": (1.0, 0.9, 0.1),
    "purple": (0.8, 0.1, 0.9),
    "white": (1.0, 1.0, 1.0),
}
SHAPES = ("circle", "square", "triangle", "cross")
PLACES = {  # x and y of the centre, from the upper left corner
    "centre": (0.5, 0.5),
    "upper left": (0.31, 0.31),
    "upper right": (0.69, 0.31),
    "lower left": (0.31, 0.69),
    "lower right": (0.69, 0.69),
}
MAX_SHIFT, MAX_GROWTH, MAX_DARKENING = 0.025, 0.08, 0.25  # random variation within a caption
FACTS = (tuple(SIZES), tuple(COLOURS), SHAPES, tuple(PLACES))
NAMES = tuple(dict.fromkeys(word for kind in FACTS for name in kind for word in name.split()))
VOCABULARY = ("a", *NAMES, "in", "the")
MAX_WORDS = 8  # of a caption: a small red circle in the upper left
EXAMPLES = (  # rows of a sample grid
    "large red circle centre",
    "small red circle centre",
    "large green square upper left",
    "small green square upper left",
    "large blue triangle upper right",
    "small white triangle lower left",
    "large yellow cross lower right",
    "small purple cross upper right",
)
CHUNK = 2000  # images rendered together


@register("dataset")
@dataclass
class Captions(Synthetic):
    """240 kinds of images, each described by four facts: 2 sizes, 6 colours, 4 shapes, 5 places.

    A caption reads "a small red circle in the upper left". Half of them omit "a", half "in the", and half of those of
    the centre omit "in the centre", so a caption without a place means the centre. About one pair of captions in 240
    describes the same kind of image.
    """

    name: str = option("captions", "registered name")
    describe: str = option(
        "words",
        "the condition: a caption in words, or a 0 or 1 for each attribute",
        choices=("words", "attributes"),
    )
    resolution: int = option(16, "height and width in pixels", minimum=8, maximum=256)
    n: int = option(20_000, "training images, drawn once", minimum=2, maximum=1_000_000)
    n_holdout: int = option(2_000, "held-out images", minimum=2, maximum=1_000_000)

    def spec(self) -> Spec:
        words = self.describe == "words"
        facts = torch.tensor([parse_facts(text) for text in EXAMPLES])
        rows = self._encode(facts, torch.zeros(len(facts), dtype=torch.int64)).tolist()
        examples = tuple(tuple(map(float, row)) for row in rows)
        condition = ConditionSpec(VOCABULARY if words else NAMES, examples, words)
        return Spec((3, self.resolution, self.resolution), condition=condition)

    def sample(self, n: int, generator: torch.Generator) -> Split:
        facts = torch.stack([torch.randint(len(kind), (n,), generator=generator) for kind in FACTS], 1)
        # shift x, shift y, growth, brightness
        jitter = 2 * torch.rand(n, 4, generator=generator) - 1
        omitted = torch.randint(8, (n,), generator=generator)
        chunks = zip(facts.split(CHUNK), jitter.split(CHUNK), strict=True)
        x = torch.cat([render(*chunk, self.resolution) for chunk in chunks])
        return Split(x, self._encode(facts, omitted))

    def _encode(self, facts: Tensor, omitted: Tensor) -> Tensor:
        return encode_words(facts, omitted) if self.describe == "words" else encode_flags(facts)


def parse_facts(text: str) -> list[int]:
    """Return the indices of a size, a colour, a shape and a place, named in this order."""
    size, colour, shape, place = text.split(maxsplit=3)
    return [kind.index(word) for kind, word in zip(FACTS, (size, colour, shape, place), strict=True)]


def encode_flags(facts: Tensor) -> Tensor:
    """Return facts [N, 4] as 0 and 1 for each of ``NAMES``, float32 [N, 17]; a corner sets two of them."""
    y = torch.zeros(len(facts), len(NAMES))
    for column, kind in enumerate(FACTS):
        table = torch.tensor([[float(word in name.split()) for word in NAMES] for name in kind])
        y += table[facts[:, column]]
    return y


def caption(facts: Sequence[int], omitted: int = 0) -> str:
    """Return the caption of a size, a colour, a shape and a place.

    Args:
        facts: Their indices.
        omitted: Sum of 1 to omit "a", 2 to omit "in the", and 4 to omit all of "in the centre".
    """
    size, colour, shape, place = (kind[number] for kind, number in zip(FACTS, facts, strict=True))
    where = [] if omitted & 4 and place == "centre" else [place] if omitted & 2 else ["in the", place]
    return " ".join([*(() if omitted & 1 else ("a",)), size, colour, shape, *where])


def encode_words(facts: Tensor, omitted: Tensor) -> Tensor:
    """Return captions of facts [N, 4] and omissions [N] as word indices plus 1, padded with 0, int64 [N, 8]."""
    # One row for each of the 240 x 8 captions, in the order of their mixed-radix index: [1920, 8]
    table, index = [], torch.zeros(len(facts), dtype=torch.int64)
    for *indices, without in itertools.product(*map(range, map(len, FACTS)), range(8)):
        row = [VOCABULARY.index(word) + 1 for word in caption(indices, without).split()]
        table.append(row + [0] * (MAX_WORDS - len(row)))
    for kind, number in zip(FACTS, facts.unbind(1), strict=True):
        index = len(kind) * index + number
    return torch.tensor(table)[8 * index + omitted]


def render(facts: Tensor, jitter: Tensor, resolution: int) -> Tensor:
    """Render images with edges a pixel wide, uint8 [N, 3, resolution, resolution].

    Args:
        facts: Indices of a size, a colour, a shape and a place, int64 [N, 4].
        jitter: In [-1, 1], shape [N, 4]: shift to the right, shift down, growth, brightness.
        resolution: Height and width in pixels.
    """
    radius = torch.tensor(list(SIZES.values()))[facts[:, 0]] * (1 + MAX_GROWTH * jitter[:, 2])
    colour = torch.tensor(list(COLOURS.values()))[facts[:, 1]] * (1 - MAX_DARKENING * (1 - jitter[:, 3:]) / 2)
    centre = torch.tensor(list(PLACES.values()))[facts[:, 3]] + MAX_SHIFT * jitter[:, :2]
    # Offsets of pixel centres from the centre of the shape, as fractions of the side: [N, 1, W] and [N, H, 1]
    pixels = (torch.arange(resolution) + 0.5) / resolution
    x = pixels[None, None, :] - centre[:, 0, None, None]
    y = pixels[None, :, None] - centre[:, 1, None, None]
    shape = facts[:, 2, None, None].expand(-1, resolution, resolution)
    distance = signed_distances(x, y, radius[:, None, None]).gather(0, shape[None])[0]  # [N, H, W]
    # Antialiasing: a pixel is covered by 1/2 where its centre lies on the edge.
    coverage = (0.5 - distance * resolution).clamp(0, 1)
    return (255 * coverage[:, None] * colour[:, :, None, None]).round().to(torch.uint8)


def signed_distances(x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
    """Return the signed distance of each point to each of ``SHAPES``, negative inside, [4, N, H, W].

    Args:
        x: To the right of the centre, [N, 1, W].
        y: Below the centre, [N, H, 1].
        radius: Of the circle; the other shapes are about as large, [N, 1, 1].
    """
    circle = torch.hypot(x, y) - radius
    square = torch.maximum(x.abs(), y.abs()) - 0.9 * radius
    slant = 0.5 * 3**0.5 * x.abs() - 0.5 * y  # of an equilateral triangle on its base
    triangle = torch.maximum(slant, y) - 0.62 * radius
    arm = 0.33 * radius
    bars = [torch.maximum(a.abs() - 1.1 * radius, b.abs() - arm) for a, b in ((x, y), (y, x))]
    return torch.stack([circle, square, triangle, torch.minimum(*bars)])
