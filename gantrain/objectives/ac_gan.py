"""AC-GAN: D names the class of a sample beside its logit, and G makes samples whose class D names."""

from dataclasses import dataclass
from operator import attrgetter

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gantrain.core.judgement import Judgement
from gantrain.objectives.base import Extended
from gantrain.registry import key_property, option, register


def class_loss(judgement: Judgement, y: Tensor | None) -> Tensor:
    """Return -E log C(y | x) in nats, 0-dim, of D's class logits [N, K] and the classes y [N]."""
    if judgement.classes is None or y is None:
        raise ValueError("an auxiliary classifier needs D's logits of classes, and the classes")
    # Compared rather than picked by index, whose derivative on CUDA is not deterministic.
    is_class = y[:, None] == torch.arange(judgement.classes.shape[1], device=y.device)
    return cross_entropy(judgement.classes, is_class.to(judgement.classes))


@register("objective")
@dataclass
class ACGAN(Extended):
    """A game of unlabelled samples, with an auxiliary classifier C in D (Odena, Olah and Shlens 2017, sec. 3).

    D descends -E log C(y | x) of data, and of samples with the classes they were made for; G descends that of its own.
    The logit knows no class: what it estimates is of p(x) and q(x). For the best C of data, G's part is
    E_q KL(q(y | x), p(y | x)) + H_q(Y | X), no divergence: its entropy is least on samples whose class is sure, so
    that q = p is no optimum where classes overlap (Gong et al. 2019, TAC-GAN, sec. 3).
    """

    name: str = option("ac_gan", "registered name")
    d_class_weight: float = option(1.0, "weight of the classes in D's loss", minimum=0)
    g_class_weight: float = option(1.0, "weight of the classes in G's loss", minimum=0)
    classify_fakes: bool = option(True, "train D's classifier on samples too, as published")
    needs = frozenset({"classes"})
    needs_condition = True
    quantity = key_property(attrgetter("_base.quantity"))

    @key_property
    def meaning(self) -> str:
        return (
            f"of samples without their classes {self._base.meaning}; G also descends -E log C(y | G(z, y)) of D's "
            "classifier C, which is no divergence: it is least where the class is sure, so that G leaves out what "
            "classes share"
        )

    def d_costs(self, real: Judgement, fake: Judgement, y: Tensor | None) -> dict[str, Tensor]:
        loss = class_loss(real, y)
        if self.classify_fakes:
            loss = loss + class_loss(fake, y)
        return {"classes": self.d_class_weight * loss}

    def g_costs(self, fake: Judgement, y: Tensor | None) -> dict[str, Tensor]:
        return {"classes": self.g_class_weight * class_loss(fake, y)}
