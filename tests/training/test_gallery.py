"""What a picture of a run says of D is true for the objective that D plays."""

from __future__ import annotations

import pytest
import torch
from composed import composed

from gantrain.config.resolve import resolve
from gantrain.training import gallery
from gantrain.training.gallery import Gallery
from gantrain.training.housekeeping import Housekeeping
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

RING = ["dataset=ring", "dataset.n=50", "dataset.n_holdout=20", "device=cpu", "model.width=8"]
PROBABILITY, LOGIT, FREE = "the probability of real", "real above 0", "of free offset"


class NoTracker:
    def image(self, *event):
        pass


def landscape_of(tmp_path, monkeypatch, *words):
    """Return what is drawn of D, and the state that it is drawn of."""
    config = resolve(composed(*RING, *words))
    runtime, data = Runtime(config.device), config.dataset.load(0)
    state, kept = TrainState.create(config, data.spec, runtime), []
    draw = gallery.point_cloud
    monkeypatch.setattr(gallery, "point_cloud", lambda *all: kept.append(all[4]) or draw(*all))
    Gallery(tmp_path, config, data, runtime, NoTracker()).sample(state, {})
    return kept[0], state


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["objective=minimax"], PROBABILITY),
        (["objective=fgan_kl", "noise=labels"], PROBABILITY),
        (["objective=hinge"], LOGIT),
        (["objective=least_squares"], LOGIT),
        (["objective=fgan_jeffrey"], LOGIT),
        (["objective=wasserstein"], FREE),
        (["objective=relativistic"], FREE),
        (["objective=conditional"], PROBABILITY),
        (["objective=conditional", "objective.base=wasserstein"], FREE),
        (["model.packing=4"], PROBABILITY),
    ],
    ids=str,
)
def test_landscape_says_what_ds_output_is(tmp_path, monkeypatch, words, says):
    shown, state = landscape_of(tmp_path, monkeypatch, *words)
    assert says in shown.label
    points = torch.randn(5, 2)
    with torch.inference_mode():
        if "objective=conditional" in words:
            logits = torch.stack([state.D(points, torch.full((5,), y)) for y in range(8)]).amax(0)
        elif "model.packing=4" in words:
            logits = torch.cat([state.D(point.expand(4, 2), None) for point in points])
        else:
            logits = state.D(points, None)
        found = shown.D(points)
    assert (shown.limits == (0.0, 1.0)) == (says == PROBABILITY)
    if "noise=labels" in words:  # smoothed by 0.1: the target of data was 0.9
        torch.testing.assert_close(found, (logits.sigmoid() / 0.9).clamp(max=1 - 1e-6))
    else:
        torch.testing.assert_close(found, logits.sigmoid() if says == PROBABILITY else logits)


def test_plane_of_a_baseline_shows_no_d(tmp_path, monkeypatch):
    words = ["model=gaussian", "objective=likelihood"]
    assert landscape_of(tmp_path, monkeypatch, *words)[0] is None
    assert (tmp_path / "samples" / "000000.png").is_file()


@pytest.mark.parametrize("words", [RING, ["device=cpu", "model.width=4"]], ids=["points", "images"])
def test_picture_of_step_0_shows_the_untrained_networks(tmp_path, words):
    config = resolve(composed(*words))
    runtime, data = Runtime(config.device), config.dataset.load(0)
    state = TrainState.create(config, data.spec, runtime)
    pictures = [Gallery(tmp_path / name, config, data, runtime, NoTracker()) for name in "ab"]
    for each in pictures:
        each.folder.mkdir()
    pictures[0].sample(state, {})
    pictures[1].begin(state)
    with torch.no_grad():
        for network in (state.G_ema, state.D):
            for weight in network.parameters():
                weight.add_(1.0)
    state.step = 1
    pictures[1].draw_untrained()
    (expected,), (drawn,) = ([*picture.folder.glob("samples/*.png")] for picture in pictures)
    assert drawn.name == expected.name == "000000.png"
    assert drawn.read_bytes() == expected.read_bytes()


def test_picture_of_step_0_comes_before_a_checkpoint(run_cli, monkeypatch):
    has_picture, save = {}, Housekeeping.save

    def spy(self, state, **options):
        has_picture[state.step] = (self.folder / "samples" / "000000.png").is_file()
        save(self, state, **options)

    monkeypatch.setattr(Housekeeping, "save", spy)
    words = [
        "metric=none",
        "train.batch_size=8",
        "train.steps=3",
        "train.checkpoint_every=2",
        "train.log_every=0",
    ]
    assert run_cli(*RING, *words, "run.dir=run")[0] == 0
    assert has_picture[2]
