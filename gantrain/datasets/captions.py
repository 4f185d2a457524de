"""Pictures with words: one coloured shape on black, and a caption that says its size, colour, form and place."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrain.core.spec import ConditionSpec, Spec
from gantrain.datasets.base import Data, Dataset, Split
from gantrain.registry import option, register

SIZES = {"small": 0.12, "large": 0.2}  # radius of the circle, in picture sides
COLOURS = {
    "red": (1.0, 0.1, 0.1),
    "green": (0.1, 0.9, 0.1),
    "blue": (0.2, 0.3, 1.0),
    "yellow": (1.0, 0.9, 0.1),
    "purple": (0.8, 0.1, 0.9),
    "white": (1.0, 1.0, 1.0),
}
SHAPES = ("circle", "square", "triangle", "cross")
PLACES = {  # x and y of the middle, in picture sides from the upper left corner
    "centre": (0.5, 0.5),
    "upper left": (0.31, 0.31),
    "upper right": (0.69, 0.31),
    "lower left": (0.31, 0.69),
    "lower right": (0.69, 0.69),
}
MOVES, GROWS, DARKENS = 0.025, 0.08, 0.25  # the most by which a picture differs from what its words say
FACTS = (tuple(SIZES), tuple(COLOURS), SHAPES, tuple(PLACES))
NAMES = tuple(dict.fromkeys(word for kind in FACTS for saying in kind for word in saying.split()))
VOCABULARY = ("a", *NAMES, "in", "the")
LONGEST = 8  # words: a small red circle in the upper left
SHOWN = (
    "large red circle centre",
    "small red circle centre",
    "large green square upper left",
    "small green square upper left",
    "large blue triangle upper right",
    "small white triangle lower left",
    "large yellow cross lower right",
    "small purple cross upper right",
)
AT_A_TIME = 2000  # pictures painted together


@register("dataset")
@dataclass
class Captions(Dataset):
    """240 kinds of pictures, each said by four facts: 2 sizes, 6 colours, 4 shapes, 5 places.

    A caption reads "a small red circle in the upper left". Half of them leave out "a", half "in the", and half of
    those of the centre leave out "in the centre", so a caption without a place means the centre. Two captions of a
    batch that differ in such words alone say the same, about one pair in 240.
    """

    name: str = option("captions", "registered name")
    describe: str = option(
        "words",
        "what a picture is asked for by: a caption, or 0 and 1 for each fact",
        choices=("words", "attributes"),
    )
    resolution: int = option(16, "height and width in pixels", minimum=8, maximum=256)
    n: int = option(20_000, "training pictures, drawn once", minimum=2, maximum=1_000_000)
    n_holdout: int = option(2_000, "held-out pictures", minimum=2, maximum=1_000_000)

    def spec(self) -> Spec:
        """Return [3, resolution, resolution], and the words or the names of the facts."""
        words = self.describe == "words"
        facts = torch.tensor([facts_of(saying) for saying in SHOWN])
        rows = worded(facts, torch.zeros(len(facts), dtype=torch.int64)) if words else flagged(facts)
        shown = tuple(tuple(float(number) for number in row) for row in rows.tolist())
        return Spec(
            (3, self.resolution, self.resolution),
            condition=ConditionSpec(VOCABULARY if words else NAMES, shown, words),
        )

    def load(self, seed: int) -> Data:
        """Paint the pictures by ``seed``; uint8 [N, 3, resolution, resolution]."""
        generator = torch.Generator().manual_seed(seed)
        return Data(self.spec(), self._drawn(self.n, generator), self._drawn(self.n_holdout, generator))

    def _drawn(self, n: int, generator: torch.Generator) -> Split:
        facts = torch.stack([torch.randint(len(kind), (n,), generator=generator) for kind in FACTS], 1)
        jitter = 2 * torch.rand(n, 4, generator=generator) - 1
        less = torch.randint(8, (n,), generator=generator)
        x = [
            render(f, j, self.resolution)
            for f, j in zip(facts.split(AT_A_TIME), jitter.split(AT_A_TIME), strict=True)
        ]
        return Split(torch.cat(x), worded(facts, less) if self.describe == "words" else flagged(facts))


def facts_of(saying: str) -> list[int]:
    """Return the numbers of a size, a colour, a shape and a place, said in this order."""
    size, colour, shape, place = saying.split(maxsplit=3)
    return [kind.index(word) for kind, word in zip(FACTS, (size, colour, shape, place), strict=True)]


def flagged(facts: Tensor) -> Tensor:
    """Return facts [N, 4] as 0 and 1 for each of ``NAMES``, float32 [N, 17]; a corner is two of them."""
    y = torch.zeros(len(facts), len(NAMES))
    for column, kind in enumerate(FACTS):
        table = torch.tensor([[float(name in saying.split()) for name in NAMES] for saying in kind])
        y += table[facts[:, column]]
    return y


def caption(facts: Sequence[int], less: int = 0) -> str:
    """Return the words of a size, a colour, a shape and a place.

    Args:
        facts: Their numbers.
        less: What is left out, a sum of 1 for "a", 2 for "in the", and 4 for all of "in the centre".
    """
    size, colour, shape, place = (kind[number] for kind, number in zip(FACTS, facts, strict=True))
    where = [] if less & 4 and place == "centre" else [place] if less & 2 else ["in the", place]
    return " ".join([*(() if less & 1 else ("a",)), size, colour, shape, *where])


def worded(facts: Tensor, less: Tensor) -> Tensor:
    """Return the captions of facts [N, 4] and of what they leave out [N] as numbers of words, int64 [N, 8]."""
    table, index = [], torch.zeros(len(facts), dtype=torch.int64)
    for *said, left_out in itertools.product(*map(range, map(len, FACTS)), range(8)):
        row = [VOCABULARY.index(word) + 1 for word in caption(said, left_out).split()]
        table.append(row + [0] * (LONGEST - len(row)))
    for kind, number in zip(FACTS, facts.unbind(1), strict=True):
        index = len(kind) * index + number
    return torch.tensor(table)[8 * index + less]


def render(facts: Tensor, jitter: Tensor, resolution: int) -> Tensor:
    """Paint pictures with soft edges a pixel wide, uint8 [N, 3, resolution, resolution].

    Args:
        facts: Numbers of a size, a colour, a shape and a place, int64 [N, 4].
        jitter: In [-1, 1], shape [N, 4]: how far to the right, down, how much larger, and how bright.
        resolution: Height and width in pixels.
    """
    radius = torch.tensor(list(SIZES.values()))[facts[:, 0]] * (1 + GROWS * jitter[:, 2])
    colour = torch.tensor(list(COLOURS.values()))[facts[:, 1]] * (1 - DARKENS * (1 - jitter[:, 3:]) / 2)
    middle = torch.tensor(list(PLACES.values()))[facts[:, 3]] + MOVES * jitter[:, :2]
    pixels = (torch.arange(resolution) + 0.5) / resolution
    x = pixels[None, None, :] - middle[:, 0, None, None]
    y = pixels[None, :, None] - middle[:, 1, None, None]
    shape = facts[:, 2, None, None].expand(-1, resolution, resolution)
    outside = outlines(x, y, radius[:, None, None]).gather(0, shape[None])[0]
    covered = (0.5 - outside * resolution).clamp(0, 1)
    return (255 * covered[:, None] * colour[:, :, None, None]).round().to(torch.uint8)


def outlines(x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
    """Return how far each point is outside each of ``SHAPES``, negative inside, [4, N, H, W].

    Args:
        x: To the right of the middle, [N, 1, W].
        y: Below the middle, [N, H, 1].
        radius: That of the circle; the others are about as large, [N, 1, 1].
    """
    circle = torch.hypot(x, y) - radius
    square = torch.maximum(x.abs(), y.abs()) - 0.9 * radius
    slant = 0.5 * 3**0.5 * x.abs() - 0.5 * y  # of an equilateral triangle that stands on a side
    triangle = torch.maximum(slant, y) - 0.62 * radius
    arm = 0.33 * radius
    bars = [torch.maximum(a.abs() - 1.1 * radius, b.abs() - arm) for a, b in ((x, y), (y, x))]
    return torch.stack([circle, square, triangle, torch.minimum(*bars)])
