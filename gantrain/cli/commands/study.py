"""``gantrain study [NAME]``."""

from __future__ import annotations

from gantrain.cli.command import Command, Word
from gantrain.core.groups import STUDY, choices
from gantrain.errors import ConfigError


def study(argv: list[str]) -> int:
    """Run a study or go on with it, and print its verdict; without a name, list the studies. Raises GantrainError."""
    from gantrain.core.override import Override, values_by_key
    from gantrain.sweeps.study.definition import read_study, study_file

    names = [word for word in argv if "=" not in word]
    if not argv:
        from gantrain.cli.help import group_page

        print(group_page(STUDY))
        return 0
    if len(names) != 1 or names[0].startswith("-"):
        what = f"takes one study, got {' '.join(names)}" if names else "names no study"
        raise ConfigError(
            "study", what, "gantrain study NAME, or a path of a .yaml file; gantrain study lists them"
        )
    file = study_file(names[0])
    read_study(file)  # before Hydra, which takes a second
    words = [word for word in argv if word != names[0]]
    typed = values_by_key(words)
    if "run.dir" not in typed:
        root = typed.get("run.root", "outputs").strip("'\"")
        words.append(str(Override("run.dir", f"{root}/studies/{file.stem}").quoted()))
    from gantrain.cli import train

    name = names[0] if names[0] in choices(STUDY) else str(file.absolute())
    of_study = ["hydra/sweeper=study", str(Override("hydra.sweeper.study", name).quoted())]
    return train.start(["--multirun", *of_study, *words])


COMMAND = Command(
    study,
    usage=(
        ("[NAME] [key=value ...]", "a comparison laid down in a file, with a verdict"),
        ("NAME train.dry_run=true", "how many runs it has, and how long they take"),
        ("FILE.yaml", "one of your own"),
    ),
    order=15,
    arguments=tuple(choices(STUDY)),
    words={
        "train.dry_run": Word("only say how many runs there are and how long they take", ("true",)),
        "hydra/launcher": Word("how to start them, as joblib"),
        "hydra.launcher.n_jobs": Word("how many at once, with joblib"),
        "sweep.replicas": Word(
            "whether runs that differ in their seeds are played at once", ("true", "false")
        ),
        "run.dir": Word("where to write; by default outputs/studies/NAME", is_path=True),
    },
)
