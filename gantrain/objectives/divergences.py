"""The f-divergences, a row each: what D pays on data and on fakes, and what the sum then estimates."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, exp, expm1, neg, tanh
from torch.nn.functional import relu, softplus

NATS, OPEN, LOG2 = "in nats", "in [0, inf)", math.log(2)
JSD, KL, RKL = "JSD(p_data, p_G)", "KL(p_data, p_G)", "KL(p_G, p_data)"
RKL_2JSD, TV = f"{RKL} - 2 JSD", "the total variation distance"
PEARSON, NEYMAN = "int (p_data - p_G)^2 / p_G", "int (p_data - p_G)^2 / p_data"
HALF_NEYMAN, HELLINGER = f"half of {NEYMAN}", "int (sqrt p_data - sqrt p_G)^2"


@dataclass(frozen=True)
class Divergence:
    """An f-divergence D_f(p, q) = int q f(p/q) as a game, with p the data and q the generator.

    For any T, E_p T - E_q f*(T) is at most D_f, and equal at T = f'(p/q) (Nguyen, Wainwright and Jordan 2010,
    lemma 1). Here T = g(v) with v the logit and g increasing onto the domain of f*. The f and g are those of Nowozin
    et al. 2016 (tables 1 and 2 and their supplement), with the logit shifted so that g(0) = f'(1): v = 0 means p = q
    and positive means real in every row. f*(g(v)) is written in closed form: computed step by step it overflows, or
    rounds to the edge of f*'s domain.

    Attributes:
        quantity: Tag of what is estimated; ``js`` is always JSD, though both rows that give it play for 2 JSD.
        words: The quantity as a formula.
        unit: Its unit or range.
        on_real: -g(v), elementwise; finite in float32 for logits in +-40, and infinite only where exp is.
        on_fake: f*(g(v)), elementwise, as above.
        other: What E -g(v) on fakes, the non-saturating loss, descends at the best D; ``words`` if the same.
        offset: The quantity's bound is ``offset + slope * (E_p T - E_q f*(T))``.
        slope: See above.
        is_log_ratio: Whether the best logit is log p/q, so that its sigmoid is the probability of real.
    """

    quantity: str
    words: str
    unit: str
    on_real: Callable[[Tensor], Tensor]
    on_fake: Callable[[Tensor], Tensor]
    other: str
    offset: float = 0.0
    slope: float = 1.0
    is_log_ratio: bool = False


class _LogRatio(torch.autograd.Function):
    """The root u of 1 + u - exp(-u) = v, elementwise, with du/dv = sigmoid(u), differentiable any number of times."""

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        u = relu(v) - torch.log1p(relu(-v))
        # Newton's method: the left side is concave and increasing, so u is below the root after one step, then rises.
        for _ in range(6):
            u = u - (1 + u - exp(-u) - v) * torch.sigmoid(u)
        ctx.save_for_backward(u)
        return u

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        return grad * torch.sigmoid(u)


def log_ratio(v: Tensor) -> Tensor:
    """Return log p/q at which Jeffrey's T* = 1 + log p/q - q/p is ``v``, shape kept.

    It is -log W(exp(1 - v)) with Lambert's W, computed without the exponential, which overflows.
    """
    return _LogRatio.apply(v)


def _jeffrey_on_fake(v: Tensor) -> Tensor:
    u = log_ratio(v)  # W + 1/W + v - 2 with W = exp(-u)
    return expm1(u) + u


# The fields of ``Divergence`` in their order. Above each row: its f, u = p/q, and f'(u), which the best T equals.
ROWS = {
    # u log u - (u + 1) log(u + 1), f' = log(u / (u + 1)); D_f = 2 JSD - 2 log 2
    "gan": Divergence("js", JSD, NATS, lambda v: softplus(-v), softplus, RKL_2JSD, LOG2, 0.5, True),
    # u log u - (u + 1) log((u + 1) / 2), f' = log(2u / (u + 1)); D_f = 2 JSD
    "js": Divergence(
        "js", JSD, NATS, lambda v: softplus(-v) - LOG2, lambda v: softplus(v) - LOG2, RKL_2JSD, 0.0, 0.5, True
    ),
    # u log u, f' = 1 + log u
    "kl": Divergence("kl", KL, NATS, lambda v: -1 - v, exp, RKL, is_log_ratio=True),
    # -log u, f' = -1 / u
    "reverse_kl": Divergence(
        "reverse_kl", RKL, NATS, lambda v: exp(-v), lambda v: v - 1, HALF_NEYMAN, is_log_ratio=True
    ),
    # (u - 1) log u, f' = 1 + log u - 1 / u
    "jeffrey": Divergence("jeffrey", f"{KL} + {RKL}", NATS, neg, _jeffrey_on_fake, f"{RKL} + {HALF_NEYMAN}"),
    # (u - 1)^2, f' = 2 (u - 1), f* = T^2 / 4 + T above T = -2 and -1 below. The parabola goes up again there:
    # a looser bound, and a G pushed away.
    "pearson": Divergence("pearson", PEARSON, OPEN, neg, lambda v: relu(1 + v / 2).square() - 1, f"2 {KL}"),
    # (1 - u)^2 / u, f' = 1 - 1 / u^2
    "neyman": Divergence(
        "neyman", NEYMAN, OPEN, lambda v: expm1(-v), lambda v: -2 * expm1(-v / 2), "int p_G^3 / (3 p_data^2)"
    ),
    # (sqrt u - 1)^2, f' = 1 - 1 / sqrt u
    "squared_hellinger": Divergence(
        "squared_hellinger",
        HELLINGER,
        "in [0, 2]",
        lambda v: expm1(-v),
        expm1,
        "2/3 int sqrt(p_G^3 / p_data)",
    ),
    # |u - 1| / 2, f' = sign(u - 1) / 2
    "total_variation": Divergence(
        "total_variation", TV, "in [0, 1]", lambda v: -tanh(v) / 2, lambda v: tanh(v) / 2, TV
    ),
}


def js_weighted(pi: float) -> Divergence:
    """Return the row of pi KL(p, m) + (1 - pi) KL(q, m), m = pi p + (1 - pi) q, for 0 < pi < 1; JSD at 1/2.

    Its ceiling is the entropy of a coin, -pi log pi - (1 - pi) log(1 - pi). g(v) = f'(exp v), which makes D a
    classifier that sees data with probability pi; the paper's g has the same range.
    """
    shift = math.log(pi) - math.log1p(-pi)
    return Divergence(
        quantity="js" if pi == 0.5 else "js_weighted",
        words=f"{pi:g} KL(p_data, m) + {1 - pi:g} KL(p_G, m), m = {pi:g} p_data + {1 - pi:g} p_G,",
        unit=NATS,
        on_real=lambda v: pi * (softplus(-v - shift) + math.log(pi)),
        on_fake=lambda v: (1 - pi) * (softplus(v + shift) + math.log1p(-pi)),
        other=f"{pi / (1 - pi):g} KL(m, p_data)",
        is_log_ratio=True,
    )


def alpha_divergence(a: float) -> Divergence:
    """Return the row of (int p^a q^(1 - a) - 1) / (a (a - 1)), and of its limits at a = 0 and a = 1, for any a.

    It joins half of Neyman's (a = -1), reverse KL (0), twice the squared Hellinger (1/2), KL (1) and half of
    Pearson's (2). g(v) = f'(exp v), not the paper's, with which the loss grows as exp(v a / (1 - a)).
    """
    return Divergence(
        quantity="alpha",
        words=f"the alpha divergence of order {a:g}",
        unit=OPEN,
        on_real=lambda v: -_power(v, a - 1),
        on_fake=lambda v: _power(v, a),
        other=f"the alpha divergence of order {2 - a:g} with p_data and p_G exchanged",
        is_log_ratio=True,
    )


def _power(v: Tensor, a: float) -> Tensor:
    """Return (exp(a v) - 1) / a, and its limit at a = 0."""
    return expm1(a * v) / a if a else v


NAMES = (*ROWS, "js_weighted", "alpha")


def divergence(name: str, pi: float, alpha: float) -> Divergence:
    """Return the row called ``name``; ``pi`` and ``alpha`` are for the rows that have them."""
    if name == "js_weighted":
        return js_weighted(pi)
    return alpha_divergence(alpha) if name == "alpha" else ROWS[name]
