"""Feature matching: G matches the mean of D's features, and D is the classifier of the original game."""

from dataclasses import dataclass

from torch import Tensor

from gantrain.core.judgement import Judgement
from gantrain.objectives.cross_entropy import CrossEntropy
from gantrain.registry import option, register


@register("objective")
@dataclass
class FeatureMatching(CrossEntropy):
    """D by cross-entropy; G descends |E f(x) - E f(G(z))|^2 of D's features f (Salimans et al. 2016, sec. 3.1)."""

    name: str = option("feature_matching", "registered name")
    needs = frozenset({"features"})
    g_sees_real = True
    averages_samples = False  # the square of a mean is no mean
    meaning = (
        "D estimates JSD(p_data, p_G) from below, in nats; G descends |E f(x) - E f(G(z))|^2 of D's features f, not "
        "that bound: it is 0 where the means agree, whatever else differs"
    )

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        raise TypeError("feature matching reads D's features: g_loss_of")

    def g_loss_of(self, fake: Judgement, real: Judgement | None = None) -> Tensor:
        if real is None or real.features is None or fake.features is None:
            raise ValueError("feature matching needs D's features of data and samples")
        # [N, d] and [M, d]: squared L2 distance of the means over the batch
        return (real.features.mean(0) - fake.features.mean(0)).square().sum()
