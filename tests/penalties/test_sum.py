"""The sum of several penalties."""

import pytest
import torch
from composed import composed
from small_game import game, same

from gantrain.config.resolve import resolve
from gantrain.core.memory import memory_of
from gantrain.errors import ConfigError
from gantrain.penalties.lecam import LeCam
from gantrain.penalties.r1 import R1

R1_AND_LECAM = {"name": "sum", "r1": {"name": "r1", "gamma": 2.0}, "lecam": {"name": "lecam", "gamma": 0.3}}


@pytest.mark.parametrize("word", ["penalty=[r1,lecam]", "penalty=[ r1, lecam ]", "penalty=r1+lecam"])
def test_sum_is_a_list_of_choices_with_keys_of_their_own(word):
    config = resolve(composed("dataset=ring", word, "penalty.r1.gamma=2", "penalty.lecam.gamma=0.3"))
    assert config.penalty.members() == {"r1": R1(gamma=2.0), "lecam": LeCam(gamma=0.3)}
    assert resolve(config.plain()) == config


def test_sum_of_one_member_is_that_member():
    alone, summed = (
        game(penalty=one, steps=4).play() for one in ("r1", {"name": "sum", "r1": {"name": "r1"}})
    )
    assert same(alone.tensors("G", "D"), summed.tensors("G", "D"))


def test_sum_adds_the_costs_of_its_members():
    summed = game(penalty=R1_AND_LECAM).move_d()
    alone = {name: game(penalty=R1_AND_LECAM[name]).move_d() for name in ("r1", "lecam")}
    for name, tags in alone.items():
        torch.testing.assert_close(summed[f"loss/penalty_{name}"], tags["loss/penalty"])
    both = alone["r1"]["loss/penalty"] + alone["lecam"]["loss/penalty"]
    torch.testing.assert_close(summed["loss/penalty"], both)


def test_sum_keeps_the_memory_of_each_member_by_name():
    played = game(penalty=R1_AND_LECAM, steps=2).play()
    assert set(memory_of("penalty.lecam", played.state.memory)) == {"real", "fake"}
    resumed = game(penalty=R1_AND_LECAM, steps=2)
    resumed.state.load(played.state.tensors(), 2, "here")
    assert same(played.state.tensors(), resumed.state.tensors())


def test_sum_applies_each_member_at_its_own_steps():
    penalty = R1_AND_LECAM | {"r1": {"name": "r1", "every": 2}}
    reports = [tags for tags in game(penalty=penalty, steps=4).play().reports if "loss/d" in tags]
    assert ["loss/penalty_r1" in tags for tags in reports] == [True, False, True, False]
    assert all("loss/penalty_lecam" in tags for tags in reports)


@pytest.mark.parametrize(
    "members",
    [
        {"r1": 3},
        {"r1": {"name": "absent"}},
        {"r1": {"gamma": 1.0}},
        {"inner": {"name": "sum"}},
        {"weight": {"name": "r1"}},
        {"a b": {"name": "r1"}},
        {"class": {"name": "r1"}},
    ],
    ids=str,
)
def test_sum_of_what_is_no_penalty_is_refused(members):
    plain = composed("dataset=ring") | {"penalty": {"name": "sum"} | members}
    with pytest.raises(ConfigError, match=r"penalty\."):
        resolve(plain)


def test_sum_of_one_choice_twice_is_refused():
    with pytest.raises(ConfigError, match="names r1 twice"):
        composed("dataset=ring", "penalty=[r1,lecam,r1]")


def test_key_of_a_sum_is_that_of_a_member():
    with pytest.raises(ConfigError, match=r"did you mean 'penalty\.r1\.gamma' or 'penalty\.lecam\.gamma'"):
        composed("dataset=ring", "penalty=[r1,lecam]", "penalty.gamma=3")


@pytest.mark.parametrize("word", ["penalty=[r1,absent]", "penalty=r1+absent"])
def test_sum_names_the_choice_that_is_not_one(word):
    with pytest.raises(ConfigError, match="'absent' is not one of its choices"):
        composed("dataset=ring", word)
