"""MNIST's default recipe is that of its experiment, and yields to other models."""

from composed import composed


def test_mnist_10min_is_the_recipe_of_plain_mnist():
    plain, experiment = composed("dataset=mnist"), composed("experiment=mnist_10min")
    assert plain.pop("metric")["n"] == experiment.pop("metric")["n"] == 2000
    assert experiment == plain
    assert plain["model"]["name"] == "strided"


def test_another_model_for_mnist_has_its_own_rates_and_average():
    plain, digits = (composed(f"dataset={name}", "model=dcgan") for name in ("mnist", "digits"))
    assert plain["model"] == digits["model"]
    assert plain["optimizer"] == digits["optimizer"]
    assert plain["train"]["ema"] == digits["train"]["ema"]
