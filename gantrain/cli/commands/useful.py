"""``gantrain useful RUN``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantrain.cli.arguments import (
    DATA_HELP,
    DATA_WORDS,
    load_data,
    output_path,
    read_options,
    single_folder,
    split_arguments,
)
from gantrain.cli.command import Command
from gantrain.errors import ConfigError, writing

if TYPE_CHECKING:
    from gantrain.core.spec import Spec
    from gantrain.datasets.base import Data

MOST_SYNTHETIC = 20_000  # samples of G, where n is not given
FEWEST_TEST = 30  # held-out samples, below which an interval over them means nothing


def useful(argv: list[str]) -> int:
    """Compare classifiers trained on real samples, on those of G, and on both, by held-out samples."""
    from gantrain.core.atomic import replacement
    from gantrain.core.device import resolve_device
    from gantrain.core.files import write_json
    from gantrain.core.run_folder import FIGURES, RunFolder
    from gantrain.datasets.base import Split
    from gantrain.registry import parse
    from gantrain.sampling.generate import draw
    from gantrain.training.checkpoint import load_checkpoint
    from gantrain.training.restore import load_generator
    from gantrain.verdicts.useful.compare import compare_arms
    from gantrain.verdicts.useful.options import UsefulOptions
    from gantrain.verdicts.useful.report import picture, table
    from gantrain.verdicts.useful.verdict import verdict

    folders, words = split_arguments("useful", argv)
    data_words = {key: words.pop(key) for key in DATA_WORDS if key in words}
    options = parse(UsefulOptions, "", read_options(UsefulOptions, words))
    checkpoint = load_checkpoint(single_folder("useful", folders))
    run = RunFolder(checkpoint.run)
    run.check_entries()
    out = output_path(options.out, run.path / f"useful-{checkpoint.step:06d}.json")
    trained, spec, G = load_generator(checkpoint)
    check_classes(spec, trained.model.is_conditional, options.rare)
    config, data = load_data(checkpoint, data_words)
    check_samples(data)
    device = resolve_device(options.device)
    n = options.n or min(len(data.train), MOST_SYNTHETIC)
    x, y = draw(G.to(device), n, config.seed, spec.conditions(), device)
    cases = compare_arms(data, Split(x, y), options.seeds, options.rare, options.few)
    sentences = verdict(cases)
    with writing(out, "choose another out=PATH"):
        described = {"step": checkpoint.step, "seeds": options.seeds, "synthetic": n, "verdict": sentences}
        write_json(out, described | {"cases": [case.description() for case in cases]})
    figure = out.with_suffix(".png") if options.out else run.path / FIGURES / "useful.png"
    with writing(figure, "choose another out=PATH"):
        figure.parent.mkdir(exist_ok=True)
        with replacement(figure) as file:
            picture(cases).save(file, "png")
    print(f"{checkpoint.path}: {options.seeds} classifiers an arm, {n:,} synthetic samples\n")
    print(table(cases) + "\n")
    for sentence in sentences:
        print(f"verdict    {sentence}")
    print(f"picture    {figure}\nresult     {out}", flush=True)
    return 0


def check_classes(spec: Spec, is_conditional: bool, rare: int | None) -> None:
    """Raise ConfigError where samples of G have no class, or where there is no class ``rare``."""
    if spec.classes < 2 or spec.condition:
        remedy = "train on data with classes, as class folders or dataset.label"
        raise ConfigError("useful", "the data of this run have no classes to learn", remedy)
    if not is_conditional:
        remedy = "train with objective=conditional, or model.condition=projection"
        raise ConfigError("useful", "this generator has no classes (model.condition=none)", remedy)
    if rare is not None and rare >= spec.classes:
        raise ConfigError(
            "rare", f"there is no class {rare}", f"give one of 0 to {spec.classes - 1}, or leave it out"
        )


def check_samples(data: Data) -> None:
    """Raise ConfigError where there are too few held-out samples, or no labels."""
    if data.within is not None or len(data.holdout) < FEWEST_TEST:
        what = f"needs {FEWEST_TEST} held-out samples with a class, which neither G nor a classifier was trained on"
        raise ConfigError("useful", what, "train with a larger dataset.holdout")
    if data.train.y is None or data.holdout.y is None:
        raise ConfigError(
            "useful", "the samples have no labels", "train on data whose training samples have classes"
        )


def _options() -> type:
    from gantrain.verdicts.useful.options import UsefulOptions

    return UsefulOptions


COMMAND = Command(
    useful,
    usage=(("RUN [seeds=5 rare=CLASS few=50]", "whether its samples help a classifier of real ones"),),
    order=42,
    folder="run",
    words=DATA_HELP,
    options=_options,
)
