"""Every option composes, resolves, survives the way through JSON, says what it is, and trains wherever it fits."""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
import json
import pickle
import shlex
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image
from torchvision.datasets import CIFAR10

from gantrain.config import Config, Device, Folder, Train, plain_data, resolve, resolve_for
from gantrain.datasets.base import Data
from gantrain.door import compose
from gantrain.errors import ConfigError
from gantrain.metrics.base import Suite
from gantrain.noise import Noise
from gantrain.pages import GROUPS, options, yaml_dir
from gantrain.registry import REGISTERED, build, parse
from gantrain.runtime import Batches, Runtime
from gantrain.sample import draw
from gantrain.state import TrainState
from gantrain.train import train

FOLDERS = sorted(path.name for path in yaml_dir().iterdir() if path.is_dir() and path.name != "hydra")
OPTIONS = [(group, path.stem) for group in FOLDERS for path in sorted((yaml_dir() / group).glob("*.yaml"))]
STEMS = {group: [stem for g, stem in OPTIONS if g == group] for group in FOLDERS}
DEFAULTS = {
    group: stem
    for entry in yaml.safe_load((yaml_dir() / "config.yaml").read_text())["defaults"]
    if isinstance(entry, dict)
    for group, stem in entry.items()
}
PLAIN_CLASSES = [Train, Device, Folder, Suite, Noise]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Iterator[Path]:
    """A folder that holds what datasets read from files: a few images as torchvision lays them out, and a table."""
    root = tmp_path_factory.mktemp("data")
    for name in ("MNIST", "FashionMNIST"):
        raw = root / name / "raw"
        raw.mkdir(parents=True)
        for part, count in (("train", 40), ("t10k", 20)):
            pixels = torch.randint(0, 256, (count, 28, 28), generator=torch.Generator().manual_seed(count))
            images = struct.pack(">IIII", 0x803, count, 28, 28) + bytes(pixels.flatten().tolist())
            labels = struct.pack(">II", 0x801, count) + bytes(i % 10 for i in range(count))
            (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    lines = [f"{i % 7},{i * i % 11},{i / 3:.2f}" for i in range(60)]
    (root / "numbers.csv").write_text("\n".join(["a,b,c", *lines]) + "\n")
    for i in range(40):
        Image.effect_noise((9, 12), 50 + i).save(root / f"{i}.png")
    with pytest.MonkeyPatch.context() as patch:
        cifar10(root, patch)
        yield root


def cifar10(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Write CIFAR-10's files with a few images, and have torchvision take their check sums for the published ones."""
    folder, sums = root / CIFAR10.base_folder, {}
    folder.mkdir()
    for name, _ in [*CIFAR10.train_list, *CIFAR10.test_list]:
        pixels = np.random.default_rng(len(sums)).integers(0, 256, (20, 3072), np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": [i % 10 for i in range(20)]}))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    meta = pickle.dumps({"label_names": [str(i) for i in range(10)]})
    (folder / CIFAR10.meta["filename"]).write_bytes(meta)
    patch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name, _ in CIFAR10.train_list])
    patch.setattr(CIFAR10, "test_list", [[name, sums[name]] for name, _ in CIFAR10.test_list])
    patch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": hashlib.md5(meta).hexdigest()})


@functools.cache
def once(*words: str) -> dict[str, Any]:
    return plain_data(compose(list(words)))


def composed(words: list[str], root: Path) -> dict[str, Any]:
    """Return what the words compose to as plain data; a dataset that lies in files finds them under ``root``."""
    plain = copy.deepcopy(once(*words))
    plain["dataset"] |= {key: place for key, place in places(root).items() if key in plain["dataset"]}
    return plain


def places(root: Path) -> dict[str, str]:
    return {"root": str(root), "path": str(root / "numbers.csv")}


def command(group: str, stem: str) -> list[str]:
    """Return the overrides of the command that an option's first line shows, of a sweep those of its first run."""
    words = shlex.split(options(group)[stem].rpartition(": gantrain")[2])
    overrides = [word for word in words if "=" in word]
    # A verb and its RUN, or the flag of a sweep, are no part of them.
    assert len(words) - len(overrides) in ((1,) if words[:1] == ["-m"] else (0, 2))
    parsed = OverridesParser.create().parse_overrides(overrides)
    assert any(o.is_sweep_override() for o in parsed) == (words[:1] == ["-m"])
    return [
        f"{o.key_or_group}={next(o.sweep_string_iterator())}" if o.is_sweep_override() else word
        for o, word in zip(parsed, overrides, strict=True)
    ]


def test_the_groups_of_the_help_page_are_the_folders():
    assert set(GROUPS) == set(FOLDERS)
    assert all(options(group).keys() == set(STEMS[group]) for group in GROUPS)
    assert set(DEFAULTS) - {"override hydra/job_logging"} <= set(FOLDERS) | {"/schema/root@_here_"}


@pytest.mark.parametrize(("group", "stem"), OPTIONS)
def test_an_option_composes_resolves_and_survives_the_way_through_json(group, stem, files):
    config = resolve(composed(command(group, stem), files))
    plain = config.plain()
    read = json.loads(json.dumps(plain, allow_nan=False))
    assert read == plain
    again = resolve(read)
    assert again == config
    assert again.plain() == plain
    assert plain["model"]["name"] != "auto"
    assert plain["optimizer"]["horizon"] == plain["train"]["steps"]
    assert resolve_for(read, config.spec) == config  # a sample is drawn where the data is not
    assert "${" not in json.dumps(plain)


def test_the_seed_is_drawn_once_where_nobody_gives_one(files):
    plain = composed(["seed=null"], files)
    configs = [resolve(plain) for _ in range(3)]
    assert len({config.seed for config in configs}) > 1
    assert all(resolve(config.plain()) == config for config in configs)


@pytest.mark.parametrize(("group", "stem"), OPTIONS)
def test_an_option_names_what_is_registered(group, stem, files):
    plain = composed([f"{group}={stem}"], files)
    if group in REGISTERED and group != "metric":
        assert plain[group]["name"] in REGISTERED[group]
    assert set(plain["metric"]["names"]) <= set(REGISTERED["metric"])


@pytest.mark.parametrize("group", sorted(REGISTERED))
def test_what_is_registered_has_a_yaml_of_its_name(group, files):
    assert set(REGISTERED[group]) <= set(STEMS[group])
    for name in REGISTERED[group]:
        plain = composed([f"{group}={name}"], files)
        assert plain[group]["names" if group == "metric" else "name"] == (
            [name] if group == "metric" else name
        )


@pytest.mark.parametrize(("group", "stem"), OPTIONS)
def test_the_first_line_says_what_the_option_is_and_the_command_that_uses_it(group, stem, files):
    lines = (yaml_dir() / group / f"{stem}.yaml").read_text().splitlines()
    first = next(line for line in lines if not line.startswith("# @package"))
    text, separator, _ = first.rpartition(": gantrain")
    assert separator, first
    assert text.startswith("# ")
    assert len(text) > 10
    assert options(group)[stem] == first[2:]
    words = command(group, stem)
    if f"{group}={stem}" not in words:  # then it is what these words choose anyway
        chosen, meant = (composed(w, files)[group] for w in (words, [f"{group}={stem}"]))
        assert chosen["name"] == meant["name"]


def fields() -> list[tuple[type, dataclasses.Field[Any]]]:
    classes = [cls for group in REGISTERED.values() for cls in group.values()] + PLAIN_CLASSES
    return [(cls, field) for cls in classes for field in dataclasses.fields(cls)]


@pytest.mark.parametrize(
    ("cls", "field"), fields(), ids=lambda value: getattr(value, "__name__", None) or value.name
)
def test_every_key_says_what_it_means(cls, field):
    assert len(field.metadata.get("help", "")) > 5
    assert field.metadata["help"] == field.metadata["help"].strip().rstrip(".")


@pytest.mark.parametrize("cls", sorted({cls for cls, _ in fields()}, key=lambda cls: cls.__name__))
def test_every_default_is_legal(cls):
    assert parse(cls, "", {}) == cls()


SMALL = {
    "train.steps": 2,
    "train.batch_size": 6,
    "model.width": 4,
    "device.kind": "cpu",
    "device.threads": 1,
    "dataset.n": 60,
    "dataset.n_holdout": 20,
    "dataset.resolution": 8,
}


@functools.cache
def data_of(dataset: str, root: Path) -> Data:
    return resolve(shrunk(composed([f"dataset={dataset}"], root))).dataset.load(0)


def shrunk(plain: dict[str, Any]) -> dict[str, Any]:
    for key, value in SMALL.items():
        group, name = key.split(".")
        if name in plain[group]:
            plain[group][name] = value
    return plain


def plays(config: Config, data: Data) -> None:
    """Train the two steps, and draw from what came of it."""
    runtime = Runtime(config.device)
    state = TrainState.create(config, data.spec, runtime)
    before = {name: tensor.clone() for name, tensor in state.tensors().items()}
    seen: list[dict[str, torch.Tensor]] = []
    batches = Batches(data.train, config.train.batch_size, config.seed, runtime.device)
    train(state, batches, config, runtime, seen.append, lambda _: None)
    assert state.step == 2
    assert all(torch.isfinite(value).all() for tags in seen for value in tags.values())
    after = state.tensors()
    assert all(torch.isfinite(tensor).all() for tensor in after.values() if tensor.is_floating_point())
    for player in ("G", "D", "G_ema") if config.objective.has_game else ("G", "G_ema"):
        assert any(not torch.equal(after[n], before[n]) for n in before if n.startswith(f"{player}/")), player
    x, y = draw(
        state.G_ema, 7, 0, data.spec.conditions() if config.model.is_conditional else None, runtime.device
    )
    assert x.shape == (7, *data.spec.shape)
    assert torch.isfinite(x).all()
    assert (y is not None) == (config.model.condition != "none")


def fits(plain: dict[str, Any], data: Data) -> bool:
    """Train what can be trained; what cannot must be refused in one line with a key, a reason and a remedy."""
    try:
        config = resolve(shrunk(plain))
    except ConfigError as error:
        where, what = str(error).split(": ", 1)
        reason, remedy = what.rsplit("; ", 1)
        assert where.split(".")[0] in plain
        assert len(reason.split()) >= 4
        assert len(remedy.split()) >= 2
        return False
    plays(config, data)
    return True


def joined(dataset: str, group: str, stem: str, root: Path) -> dict[str, Any]:
    """Return a dataset's config with another option: put in place where the option touches its own group alone."""
    if (yaml_dir() / group / f"{stem}.yaml").read_text().startswith("# @package _global_"):
        return composed([f"dataset={dataset}", f"{group}={stem}"], root)
    return composed([f"dataset={dataset}"], root) | {group: copy.deepcopy(once(f"{group}={stem}")[group])}


@pytest.mark.parametrize("objective", STEMS["objective"])
@pytest.mark.parametrize("dataset", STEMS["dataset"])
def test_every_objective_is_played_on_every_dataset_that_has_what_it_needs(dataset, objective, files):
    data, plain = data_of(dataset, files), joined(dataset, "objective", objective, files)
    game = REGISTERED["objective"][plain["objective"]["name"]]
    labels = plain["model"]["condition"] != "none"
    playable = not labels or len(data.spec.conditions()) >= 2
    assert fits(plain, data) == (playable and not game.needs_density)


@pytest.mark.parametrize("model", STEMS["model"])
@pytest.mark.parametrize("dataset", STEMS["dataset"])
def test_every_model_makes_every_dataset_that_it_fits(dataset, model, files):
    data, plain = data_of(dataset, files), composed([f"dataset={dataset}", f"model={model}"], files)
    conditional = copy.deepcopy(plain) | {
        "objective": copy.deepcopy(once("objective=conditional")["objective"])
    }
    conditional["model"]["condition"] = "concat"
    made, labelled = fits(plain, data), fits(conditional, data)
    assert made or not labelled
    if model in ("auto", "mlp", "dcgan"):
        assert made == (model != "dcgan" or (data.spec.is_image and min(data.spec.shape[1:]) >= 8))
        assert labelled == (made and len(data.spec.conditions()) >= 2)


@pytest.mark.parametrize("dataset", ["digits", "ring"])
@pytest.mark.parametrize("objective", sorted(REGISTERED["objective"]))
def test_every_penalty_goes_with_every_objective(dataset, objective, files):
    data, plain = data_of(dataset, files), joined(dataset, "objective", objective, files)
    for penalty in REGISTERED["penalty"]:
        made = fits(
            copy.deepcopy(plain) | {"penalty": copy.deepcopy(once(f"penalty={penalty}")["penalty"])}, data
        )
        assert made or penalty != "none" or REGISTERED["objective"][objective].needs_density


MODELS = sorted(set(REGISTERED["model"]) - {"auto"})


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dataset", STEMS["dataset"])
def test_every_dataset_objective_penalty_and_model_play_together_where_they_fit(dataset, model, files):
    """What is played and what is refused, of all: the counts follow from the few rules that refuse."""
    data = data_of(dataset, files)
    for objective in REGISTERED["objective"]:
        plain = joined(dataset, "objective", objective, files)
        plain["model"] = {k: v for k, v in plain["model"].items() if k == "condition"} | {
            "name": model,
            "width": 4,
        }
        condition, game = plain["model"]["condition"], REGISTERED["objective"][objective]
        recipe = build("model", plain["model"])
        possible = recipe.fits(data.spec) is None and (
            condition == "none" or len(data.spec.conditions()) >= (2 if objective == "conditional" else 1)
        )
        for penalty in REGISTERED["penalty"]:
            words = {"penalty": {"name": penalty}}
            made = fits(copy.deepcopy(plain) | words, data)
            assert made == (possible and (recipe.tractable or not game.needs_density)), (objective, penalty)


@pytest.mark.parametrize("optimizer", STEMS["optimizer"])
@pytest.mark.parametrize("noise", STEMS["noise"])
def test_every_update_rule_trains_under_every_noise(optimizer, noise, files):
    dataset = DEFAULTS["dataset"]
    plain = joined(dataset, "optimizer", optimizer, files) | {
        "noise": joined(dataset, "noise", noise, files)["noise"]
    }
    plays(resolve(shrunk(plain)), data_of(dataset, files))


@pytest.mark.parametrize("word", ["train.steps=7", "dataset.radius=1.5", "train.batch_size=9"])
@pytest.mark.parametrize("first", [True, False])
def test_the_command_line_wins_over_what_a_dataset_sets(word, first):
    key, value = word.split("=")
    plain = plain_data(compose([word, "dataset=ring"] if first else ["dataset=ring", word]))
    assert plain[key.split(".")[0]][key.split(".")[1]] == yaml.safe_load(value)
    assert (
        plain["metric"]["n"] == once("dataset=ring")["metric"]["n"] != Suite().n
    )  # the dataset's word otherwise


def test_a_dataset_chooses_a_penalty_and_the_command_line_another():
    assert plain_data(compose(["dataset=mnist"]))["penalty"]["name"] == "r1"
    assert plain_data(compose(["dataset=mnist", "penalty=none"]))["penalty"]["name"] == "none"
    assert plain_data(compose(["penalty=none", "dataset=mnist"]))["penalty"]["name"] == "none"
    assert plain_data(compose(["dataset=mnist", "penalty.gamma=3"]))["penalty"]["gamma"] == 3


@pytest.mark.parametrize("model", STEMS["model"])
def test_an_objective_conditions_the_model_and_the_command_line_may_not_want_it(model):
    assert plain_data(compose(["objective=conditional", f"model={model}"]))["model"]["condition"] == "concat"
    plain = plain_data(compose(["objective=conditional", f"model={model}", "model.condition=none"]))
    assert plain["model"]["condition"] == "none"
    with pytest.raises(ConfigError, match=r"^model(\.condition)?: "):
        resolve(plain)


@pytest.fixture
def experiment(tmp_path) -> list[str]:
    """Words that use an experiment of a user's own."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\n"
        "# Mine: gantrain experiment=mine\n"
        "defaults:\n"
        "  - override /dataset: ring\n"
        "  - override /objective: conditional\n"
        "  - _self_\n"
        "\n"
        "train: {steps: 11}\n"
        "dataset: {radius: 3.0}\n"
        "objective: {mismatch_weight: 0.25}\n"
        "model: {z_dim: 7}\n"
    )
    return [f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine"]


def test_an_experiment_sets_what_any_group_before_it_set(experiment):
    config = resolve(plain_data(compose(experiment)))
    assert (config.dataset.name, config.objective.name) == ("ring", "conditional")
    assert (config.train.steps, config.dataset.radius, config.objective.mismatch_weight) == (11, 3.0, 0.25)
    assert (config.model.name, config.model.z_dim, config.model.condition) == ("mlp", 7, "concat")
    ring = plain_data(compose(["dataset=ring"]))
    assert (
        config.train.batch_size == ring["train"]["batch_size"] != Train().batch_size
    )  # the rest is the dataset's


def test_the_command_line_wins_over_an_experiment_and_debug_too(experiment):
    words = [
        "train.steps=5",
        "dataset.radius=1.5",
        "objective=minimax",
        "model.z_dim=9",
        "model.condition=none",
    ]
    with pytest.raises(ConfigError, match=r"objective\.mismatch_weight|mismatch_weight"):
        resolve(plain_data(compose([*experiment, *words])))  # minimax lacks what the experiment sets
    words[2] = "objective.mismatch_weight=0"
    for order in ([*experiment, *words], [*words, *experiment]):
        config = resolve(plain_data(compose(order)))
        assert (config.train.steps, config.dataset.radius, config.model.z_dim) == (5, 1.5, 9)
        assert (config.objective.mismatch_weight, config.model.condition) == (0, "none")
    assert resolve(plain_data(compose([*experiment, "debug=tiny"]))).train.steps == 20
    assert resolve(plain_data(compose([*experiment, "debug=tiny", "train.steps=3"]))).train.steps == 3


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_device_that_is_not_here_is_refused_by_the_machine_alone(kind, files):
    config = resolve(composed([f"device={kind}"], files))
    if {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[kind]:
        assert Runtime(config.device).device.type == kind
    else:
        with pytest.raises(ConfigError, match=f"device: {kind} is not on this machine; choose from"):
            Runtime(config.device)
