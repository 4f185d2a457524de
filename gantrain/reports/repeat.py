"""The command line that trains a run again."""

from collections.abc import Sequence

from gantrain.config.paths import READ_PATHS
from gantrain.core.override import Override
from gantrain.core.run_folder import RunFolder


def repeat_words(run: RunFolder) -> list[str]:
    """Return the words after ``gantrain`` that train a run again, in a new folder, wherever they are typed.

    Besides the run's overrides they name its folders of plug-ins and of the user's own configs.
    """
    folders = [str(folder["path"]) for folder in run.plugins.get("folders", ())]
    flags = [word for path in folders for word in ("--plugins", path)]
    flags += ["--config-dir", run.config_dir] if run.config_dir else []
    return [*flags, *(_with_stored_path(word, run) for word in without_run_keys(run.overrides))]


def without_run_keys(overrides: Sequence[str]) -> list[str]:
    """Return overrides without the keys of the folder that a run or a sweep writes to."""
    return [word for word in overrides if not word.lstrip("+").startswith("run.")]


def _with_stored_path(word: str, run: RunFolder) -> str:
    """Return an override, a path that the run read as its config has it: seen from any folder."""
    if "=" not in word:  # a key that is removed
        return word
    override = Override.parse(word)
    group, _, name = override.key.partition(".")
    stored = run.config.get(group, {}).get(name) if override.key in READ_PATHS else None
    return str(override._replace(value=stored).quoted()) if isinstance(stored, str) else word
