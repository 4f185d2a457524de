"""Whether what D's inputs were augmented by shows in samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from PIL.Image import Image, Resampling, fromarray
from torch import Tensor, nn
from torch.nn.functional import pad

from gantrain.augment.base import Augmentation
from gantrain.core.estimate import Estimate
from gantrain.datasets.base import Data
from gantrain.features.tools import classifier
from gantrain.features.tools.reserved import split_reserved_samples
from gantrain.metrics.base import Evaluation, History, Metric, RunSpec
from gantrain.metrics.tools.augmented import augment_samples
from gantrain.metrics.tools.errors import share_error
from gantrain.registry import option, register

TAG = "fidelity/leak"
EPOCHS = 10  # at most, of the plain images
SHOWN, LEAST_PIXELS = 12, 48  # images in a row of the figure, and the shorter side of each


@register("metric")
@dataclass
class Leak(Metric):
    """Share in [0, 1] of samples that a classifier of augmented and plain training data calls augmented.

    Its floor is the share of held-out data. Augmentations leak where samples are above it: G draws what D should have
    taken for a change of the image (Karras et al. 2020, sec. 2.2).
    """

    name: str = option("leak", "registered name")
    tags = (TAG,)
    compares_real = False
    needs_game = True

    def why_unsupported(self, run: RunSpec) -> str | None:
        if not run.augment.active:
            return "D's inputs are not augmented"
        return None if run.spec.is_image else "the classifier is for images"

    def protocol(self, evaluation: Evaluation) -> dict[str, object]:
        x, _ = evaluation.real
        augment = evaluation.game.augment.for_classifier()
        seen = augment_samples(augment, x, torch.Generator().manual_seed(evaluation.seed))
        found = classifier.predict(self._classifier(evaluation), seen)
        own = {
            "classifier": f"plain and augmented training data, half each, {steps_for(evaluation.data)} steps"
        }
        return super().protocol(evaluation) | own | {"recognises_augmented": float(found.double().mean())}

    def __call__(self, evaluation: Evaluation) -> dict[str, float]:
        found = classifier.predict(self._classifier(evaluation), evaluation.fake[0])
        share, n = float(found.double().mean()), len(found)
        return {TAG: Estimate(share, n=n)}

    def errors(self, evaluation: Evaluation) -> dict[str, float]:
        return {tag: share_error(value, len(evaluation.fakes)) for tag, value in self(evaluation).items()}

    def figures(self, evaluation: Evaluation, history: History) -> dict[str, Image]:
        """Return ``augmented``: held-out images, and below each what D sees of it at the classifier's strength."""
        x = evaluation.real[0][:SHOWN].cpu()
        augment, generator = evaluation.game.augment.for_classifier(), torch.Generator().manual_seed(0)
        rows = [x, *(augment_samples(augment, x, generator) for _ in range(3))]
        return {"augmented": tile(rows)}

    def _classifier(self, evaluation: Evaluation) -> nn.Module:
        """Return the classifier of a run, which is trained once: its data and augmentation do not change."""
        last = getattr(self, "_last_classifier", None)
        if last is None or last[0] is not evaluation.data:
            last = evaluation.data, fit_classifier(evaluation.data, evaluation.game.augment)
            self._last_classifier = last
        network: nn.Module = last[1]
        return network.to(evaluation.device)


def fit_classifier(data: Data, augment: Augmentation) -> nn.Module:
    """Return a network that classifies images [N, C, H, W] as plain, 0, or augmented, 1."""
    fitted, _ = split_reserved_samples(data)
    spec = replace(data.spec, classes=2, condition=None, channel_classes=0)
    augment = augment.for_classifier()

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, _ = data.train.take(fitted[torch.randint(len(fitted), (classifier.BATCH,), generator=generator)])
        plain, other = x.chunk(2)
        labels = torch.arange(2).repeat_interleave(len(plain))
        return torch.cat([plain, augment_samples(augment, other, generator)]), labels

    return classifier.fit(spec, draw, steps_for(data))


def steps_for(data: Data) -> int:
    """Return the updates of the classifier: few images are not seen so often that it knows the plain ones by heart."""
    epoch = 2 * len(split_reserved_samples(data)[0]) / classifier.BATCH
    return min(classifier.STEPS, math.ceil(EPOCHS * epoch))


def tile(rows: list[Tensor]) -> Image:
    """Return rows of images [N, C, H, W] in [-1, 1] as one picture; small ones are enlarged."""
    sheet = torch.cat([pad(row, (1, 1, 1, 1), value=-1.0).permute(1, 2, 0, 3).flatten(2) for row in rows], 1)
    levels = sheet.add(1).mul(127.5).round().clamp(0, 255).byte()
    # Grey, colour, or colour without its transparency
    picture = fromarray(
        (levels[:3] if len(levels) > 2 else levels[:1].expand(3, -1, -1)).permute(1, 2, 0).numpy()
    )
    factor = -(-LEAST_PIXELS // min(rows[0].shape[2:]))
    return picture.resize((picture.width * factor, picture.height * factor), Resampling.NEAREST)
