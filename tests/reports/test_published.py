"""Published values: which run each belongs to, and that the run evaluates the metric it is compared with."""

import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from composed import composed
from hydra.core.override_parser.overrides_parser import OverridesParser

from gantrain.core.groups import choices, yaml_dir
from gantrain.registry import REGISTERED

# Lin et al. 2018, tab. 1: modes, high quality and reverse KL, for one sample at a time and for 2 to 4.
PACGAN = {
    "ring": {1: (6.3, 0.982, 0.45), 2: (7.9, 0.956, 0.07), 3: (7.8, 0.977, 0.10), 4: (7.8, 0.959, 0.07)},
    "grid": {1: (17.3, 0.948, 0.70), 2: (23.8, 0.913, 0.13), 3: (24.6, 0.942, 0.06), 4: (24.8, 0.936, 0.04)},
}
# Lin et al. 2018, tab. 3, D half as large as G: modes of 1,000 and KL; by unrolled steps those of Metz et al. 2017.
METZ = {0: (628.0, 2.58), 1: (523.6, 2.44), 5: (732.0, 1.66), 10: (817.4, 1.43)}
QUARTER = {"train.unroll=5": (236.4, 4.67), "model.packing=4": (667.4, 1.81)}  # with a D a quarter as large
PACKED = {2: (840.7, 1.00), 3: (866.6, 0.90), 4: (820.2, 1.15)}


def published(*words: str) -> dict[str, float]:
    return composed(*words)["metric"]["published"]


@pytest.mark.parametrize(
    ("name", "packing"),
    [*itertools.product(["pacgan_ring", "pacgan_grid"], [1, 2, 3, 4]), ("pacgan_ring_full", 4)],
)
def test_published_pacgan_has_the_row_of_its_packing(name, packing):
    modes, good, kl = PACGAN[name.split("_")[1]][packing]
    assert published(f"experiment={name}", f"model.packing={packing}") == {
        "diversity/modes": modes,
        "fidelity/high_quality": good,
        "diversity/mode_kl": kl,
    }


def test_published_tiny_nets_have_the_row_of_unroll_or_packing():
    rows = {f"train.unroll={k}": row for k, row in METZ.items()}
    rows |= {f"model.packing={m}": row for m, row in PACKED.items()}
    for word, (modes, kl) in rows.items():
        found = published("experiment=tiny_stacked_mnist", word)
        assert found == {"diversity/modes": modes, "diversity/mode_kl": kl}
    for word, (modes, kl) in QUARTER.items():
        found = published("experiment=tiny_stacked_mnist", "model.d_width=2", word)
        assert found == {"diversity/modes": modes, "diversity/mode_kl": kl}
    assert published("experiment=tiny_stacked_mnist", "train.unroll=5", "model.packing=2") == {}
    assert published("experiment=tiny_stacked_mnist", "train.unroll=2") == {}


def test_published_values_are_of_the_papers_own_run_alone():
    assert published("experiment=unrolled_ring", "train.unroll=0") == {"diversity/modes": 1.0}
    assert published("experiment=unrolled_ring") == {"diversity/modes": 7.6}
    assert published("experiment=unrolled_ring", "train.unroll=10") == {}
    assert published("experiment=pacgan_ring", "model.packing=6") == {}


@pytest.mark.parametrize("experiment", ["pacgan_ring", "pacgan_grid"])
def test_published_full_run_differs_in_sizes_rates_and_steps(experiment):
    short, full = (composed(f"experiment={experiment}{end}") for end in ("", "_full"))
    differ = {
        f"{group}.{key}"
        for group in ("dataset", "model", "objective", "penalty", "noise", "optimizer", "train", "metric")
        for key in short[group]
        if short[group][key] != full[group][key]
    }
    every = {"train.log_every", "train.evaluate_every", "train.checkpoint_every"}
    rates = {"optimizer.g_lr", "optimizer.d_lr", "optimizer.schedule"}
    sizes = {"width", "depth", "d_width", "d_depth"}
    layers = {"g_norm", "d_activation", "initial"}
    assert differ == every | rates | {"train.steps", "train.batch_size"} | {
        f"model.{key}" for key in sizes | layers
    }
    assert full["train"]["steps"] * full["train"]["batch_size"] == 400 * full["dataset"]["n"]  # 400 epochs


@pytest.mark.parametrize("packing", [1, 2, 3, 4])
def test_published_full_run_has_batches_of_100_packs(packing):
    full = composed("experiment=pacgan_ring_full", f"model.packing={packing}")
    assert full["train"]["batch_size"] == 100 * packing
    assert full["model"]["z_dim"] == 2


EXPERIMENTS = sorted(path.stem for path in (yaml_dir() / "experiment").glob("*.yaml"))


def jobs(name: str) -> list[tuple[str, ...]]:
    """The words of each run that an experiment's first line starts, one seed of each."""
    words = shlex.split(choices("experiment")[name].rpartition(": gantrain")[2])
    rows: list[tuple[str, ...]] = [()]
    for override in OverridesParser.create().parse_overrides([w for w in words if "=" in w]):
        if override.key_or_group == "seed":
            continue
        values = (
            list(override.sweep_string_iterator())
            if override.is_sweep_override()
            else [override.get_value_element_as_str()]
        )
        rows = [(*row, f"{override.key_or_group}={value}") for row in rows for value in values]
    return rows


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_published_experiment_runs_compose_with_known_tags(
    name,
):
    documented = (Path(__file__).parents[2] / "docs" / "estimates.md").read_text()
    for words in {jobs(name)[0], jobs(name)[-1]}:
        plain: dict[str, Any] = composed(*words)
        assert set(plain["metric"]["names"]) <= set(REGISTERED["metric"])
        for tag, value in plain["metric"]["published"].items():
            assert isinstance(value, int | float)
            section, _, rest = tag.partition("/")
            assert tag in documented or rest.removesuffix("_exact") in documented, tag
            assert section in {
                "divergence",
                "diversity",
                "fidelity",
                "generator",
                "gradient",
                "discriminator",
            }


def test_published_experiments_are_those_of_the_page():
    page = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text()
    named = set(re.findall(r"experiment=(\w+)", page))
    assert named <= set(EXPERIMENTS)
    assert {name for name in EXPERIMENTS if name.endswith(("_mnist", "_exact", "_mixture"))} <= named
