"""AC-GAN: what its classifier adds to both losses, that it is no divergence, and which models can play it."""

import math

import pytest
import torch
from composed import composed
from small_game import game
from torch import Tensor
from torch.nn.functional import log_softmax

from gantrain.config.game import meaning
from gantrain.config.resolve import resolve
from gantrain.core.judgement import Judgement
from gantrain.errors import ConfigError
from gantrain.objectives.ac_gan import ACGAN, class_loss
from gantrain.objectives.base import Logits
from gantrain.objectives.hinge import Hinge

BACKBONES = ["mlp", "dcgan_small", "strided_small", "resnet_small", "r3gan_small", "stylegan2_small"]
WITH_CLASSES = {"objective": "ac_gan", "condition": "auxiliary_classifier"}
LETTERS = torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.0, 0.2, 0.3, 0.5]], dtype=torch.float64)  # p(letter | class)


def judgement(classes: Tensor) -> Judgement:
    return Judgement(torch.zeros(len(classes)), classes)


def g_cost(of_letter: Tensor, q: Tensor) -> Tensor:
    """G's cost for q(letter | class), [2, 4], against the classifier p(class | letter), [4, 2]."""
    y, letters = (rows.flatten() for rows in torch.meshgrid(torch.arange(2), torch.arange(4), indexing="ij"))
    costs = torch.stack(
        [
            ACGAN().g_costs(judgement(of_letter[letter][None]), one[None])["classes"]
            for one, letter in zip(y, letters, strict=True)
        ]
    )
    return (costs * q.flatten() / 2).sum()


def test_class_loss_is_the_cross_entropy_of_the_named_class():
    logits, y = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2, 1, 1, 0])
    by_hand = [
        math.log(sum(map(math.exp, row))) - row[c] for row, c in zip(logits.tolist(), y.tolist(), strict=True)
    ]
    assert class_loss(judgement(logits), y).item() == pytest.approx(sum(by_hand) / 5, rel=1e-6)
    assert class_loss(judgement(torch.zeros(4, 10)), y[:4]).item() == pytest.approx(math.log(10), rel=1e-6)


def test_gradient_of_the_class_loss_is_probability_less_one_hot():
    logits = torch.randn(
        6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    ).requires_grad_()
    y = torch.arange(6) % 4
    (slope,) = torch.autograd.grad(class_loss(judgement(logits), y), logits)
    torch.testing.assert_close(slope, (logits.softmax(1) - torch.eye(4, dtype=torch.float64)[y]) / 6)


@pytest.mark.parametrize("classify_fakes", [True, False])
def test_d_learns_classes_of_data_and_of_samples_if_asked(classify_fakes):
    real, fake = (
        judgement(rows) for rows in torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(2))
    )
    y = torch.arange(6) % 3
    costs = ACGAN(d_class_weight=2.0, classify_fakes=classify_fakes).d_costs(real, fake, y)
    expected = 2 * (class_loss(real, y) + (class_loss(fake, y) if classify_fakes else 0))
    torch.testing.assert_close(costs, {"classes": expected})


@pytest.mark.parametrize("base", ["non_saturating", "hinge", "wasserstein"])
def test_game_of_logits_is_that_of_the_base(base):
    ours = ACGAN(base=base)
    real, fake = torch.randn(2, 40, generator=torch.Generator().manual_seed(3))
    other = ours._base
    assert ours.d_loss(Logits(real, fake)) == other.d_loss(Logits(real, fake))
    assert ours.g_loss(fake) == other.g_loss(fake)
    assert ours.estimate(Logits(real, fake)) == other.estimate(Logits(real, fake))
    assert (ours.quantity, ours.chance, ours.needs_penalty) == (
        other.quantity,
        other.chance,
        other.needs_penalty,
    )
    assert ACGAN(base="hinge").quantity == Hinge.quantity != ACGAN().quantity


def test_cost_of_g_is_no_divergence_where_classes_overlap():
    """At q = p it is H(Y | X), and a q of the letters that only one class has costs nothing."""
    joint = LETTERS / 2
    posterior = joint / joint.sum(0)
    of_letter = posterior.clamp(min=1e-30).log().T  # [4, 2]
    entropy = -torch.xlogy(joint, posterior).sum()
    sure = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0]], dtype=torch.float64)
    assert g_cost(of_letter, LETTERS).item() == pytest.approx(entropy.item(), rel=1e-9)
    assert entropy.item() == pytest.approx(0.5 * -(0.6 * math.log(0.6) + 0.4 * math.log(0.4)), rel=1e-9)
    assert g_cost(of_letter, sure).item() == pytest.approx(0, abs=1e-9)
    # The docstring's split of it, at a q that is neither.
    q = torch.tensor([[0.2, 0.3, 0.4, 0.1], [0.1, 0.5, 0.2, 0.2]], dtype=torch.float64)
    overlap = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]], dtype=torch.float64)
    posterior = overlap / overlap.sum(0)
    q_posterior = q / q.sum(0)
    kl = (q / 2 * (q_posterior / posterior).log()).sum()
    own = -(q / 2 * q_posterior.log()).sum()
    assert g_cost(posterior.log().T, q).item() == pytest.approx((kl + own).item(), rel=1e-9)


def test_step_descends_the_base_and_the_classes():
    ours = game(**WITH_CLASSES)
    real, y = ours.batches(0)
    with torch.no_grad():
        said = ours.state.D.judge(real, y)
    assert said.classes.shape == (8, 4)
    by_hand = -log_softmax(said.classes, 1)[torch.arange(8), y].mean()
    alone = game(objective={"name": "ac_gan", "classify_fakes": False}, condition="auxiliary_classifier")
    assert alone.move_d()["loss/d_classes"].item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert ours.move_d().keys() >= {"loss/d", "loss/d_classes"}
    assert ours.move_g().keys() >= {"loss/g", "loss/g_classes"}


def test_weights_of_0_leave_the_game_without_classes():
    none = {"name": "ac_gan", "d_class_weight": 0.0, "g_class_weight": 0.0}
    ours, base = game(objective=none, condition="auxiliary_classifier"), game(**WITH_CLASSES)
    for one in (ours, base):
        one.move_d()
    heads = [one.state.D.head.classify.weight.grad for one in (ours, base)]
    assert (heads[0] == 0).all()
    assert (heads[1] != 0).all()


def test_d_is_not_given_the_class_that_it_names():
    played = game(**WITH_CLASSES)
    real, y = played.batches(0)
    first, other = played.state.D(real, y), played.state.D(real, (y + 1) % 4)
    assert torch.equal(first, other)
    assert "pairs" not in meaning(played.config)


def test_unrolled_d_learns_the_classes_too():
    played = game(**WITH_CLASSES, unroll=1)
    frozen = game(
        objective={"name": "ac_gan", "d_class_weight": 0.0}, condition="auxiliary_classifier", unroll=1
    )
    assert played.move_g()["loss/g_classes"] != frozen.move_g()["loss/g_classes"]


@pytest.mark.parametrize("model", BACKBONES)
def test_backbone_names_classes(model):
    config = resolve(composed("dataset=digits", f"model={model}", "objective=ac_gan"))
    D = config.model.build(config.spec)[1]
    x = torch.randn(2, *config.spec.shape)
    said = D.judge(x, torch.tensor([0, 1]))
    assert said.classes.shape == (2, 10)
    assert torch.equal(said.logit, D(x, None))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("dataset=gaussian", "objective=ac_gan"), "objective: needs labels"),
        (("dataset=captions", "objective=ac_gan"), "model.condition: is for classes"),
        (
            ("dataset=digits", "objective=ac_gan", "model.condition=none"),
            "model.condition: is none.*auxiliary",
        ),
        (
            ("dataset=digits", "objective=ac_gan", "model.condition=concat"),
            "model.condition: is concat, .*auxiliary",
        ),
        (
            ("dataset=digits", "model.condition=auxiliary_classifier"),
            "trains no classifier.*objective=ac_gan",
        ),
        (("dataset=ring", "model=gaussian", "objective=ac_gan"), "model.condition: gaussian takes no labels"),
        (
            ("dataset=digits", "objective=ac_gan", "model.packing=2"),
            "model.packing: is for models without labels",
        ),
        (("dataset=digits", "objective=ac_gan", "objective.base=conditional"), "objective.base: "),
    ],
)
def test_game_without_classes_to_name_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        resolve(composed(*words))
