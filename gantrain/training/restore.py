"""From a run to the description in its checkpoints, and back: config, data spec, weights."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gantrain.config.differs import differences
from gantrain.config.options import Config
from gantrain.config.resolve import resolve
from gantrain.core.data_files import DataFiles
from gantrain.core.files import write_json
from gantrain.core.plugin_loading import load_plugins_of, packages_of
from gantrain.core.plugins import provenance, versions
from gantrain.core.run_folder import DIFFERS, PLUGINS, RunFolder
from gantrain.core.spec import Spec
from gantrain.datasets.base import Data
from gantrain.errors import CheckpointError, ConfigError, DataError, writing
from gantrain.models.base import Generator
from gantrain.models.layers import weight_layout
from gantrain.training.checkpoint import Checkpoint, load_checkpoint
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState, build_networks, tensors_of

log = logging.getLogger("gantrain")


def describe(config: Config, data: Data, runtime: Runtime) -> dict[str, Any]:
    """Return what a checkpoint holds of its run besides tensors, as plain data."""
    plain = config.plain()
    layout = str(weight_layout(data.spec)).removeprefix("torch.")
    rest = {"environment": runtime.environment() | {"layout": layout}, "spec": data.spec.plain()}
    if config.dataset.files.entries:
        rest["data"] = config.dataset.files.summary
    return {"config": plain} | _origin(config, plain) | rest


def write_config(config: Config, folder: Path) -> None:
    """Write ``config.json``, from which a run can begin: a folder that holds it is a run's. Raises OutputError."""
    plain, path = config.plain(), RunFolder(folder).config_file
    with writing(path):
        write_json(path, plain | _origin(config, plain))


def _origin(config: Config, plain: dict[str, Any]) -> dict[str, Any]:
    # Plug-ins from outside the package are named with their hashes, to be checked when loaded again.
    plugins = provenance(packages_of(plain))
    return {DIFFERS: differences(config)} | ({PLUGINS: plugins} if plugins else {})


def config_and_spec(checkpoint: Checkpoint) -> tuple[Config, Spec]:
    """Return a checkpoint's config and data spec; the data are not needed.

    Raises:
        CheckpointError: For a config that cannot be run, or networks that are not those of the config.
        ConfigError: For plug-ins that may not be loaded, are absent, or have changed.
    """
    # Plug-ins first: the config may name what they register.
    load_plugins_of(checkpoint.plugins, checkpoint.run)
    try:
        spec = Spec.from_plain(checkpoint.spec)
        config = resolve(checkpoint.config, spec)
        with torch.device("meta"):  # shapes alone: a forged width must not use up the memory
            G, D = config.model.build(spec)
        for part, network in (("G", G), ("D", D), ("G_ema", G)):
            network.load_state_dict(tensors_of(checkpoint.tensors, part), strict=True, assign=True)
    except (ConfigError, KeyError, TypeError, ValueError, RuntimeError) as error:
        what = f"does not hold a run ({' '.join(str(error).split())})"
        raise CheckpointError(checkpoint.path, what, "restore it, or use another checkpoint") from error
    return config, spec


def load_generator(checkpoint: Checkpoint) -> tuple[Config, Spec, Generator]:
    """Return a checkpoint's config, data spec and averaged generator; the data are not needed."""
    config, spec = config_and_spec(checkpoint)
    G, _ = build_networks(config, spec)
    G.load_state_dict(tensors_of(checkpoint.tensors, "G_ema"))
    return config, spec, G


def check_same_data(config: Config, checkpoint: Checkpoint) -> None:
    """Check that the data are those of the checkpoint, wherever they lie now.

    Raises:
        DataError: For data of another kind, and for files that have changed unless ``dataset.allow_changed`` is set.
    """
    dataset = config.dataset
    where = getattr(dataset, "path", None) or getattr(dataset, "root", None) or "dataset"
    what, changes = "is not the data that the run was trained on", changed_files(config, checkpoint)
    if not config.spec.is_compatible(Spec.from_plain(checkpoint.spec)):
        # A table's units are its mean and spread.
        why = "its shape, columns, labels, mean or spread differ" + (changes and f" ({changes})")
        raise DataError(where, f"{what}: {why}", "restore it, or start a new run")
    if changes and not getattr(dataset, "allow_changed", False):
        remedy = "restore it, or go on, no longer bit for bit, with dataset.allow_changed=true"
        raise DataError(where, f"{what}: {changes}", remedy)
    if dataset.files.entries and not checkpoint.data:
        log.warning("%s: cannot be compared with what the run was trained on, which it did not list", where)


def changed_files(config: Config, checkpoint: Checkpoint) -> str:
    """Return how the files of the data differ from those of the checkpoint, in words; empty if they do not."""
    if not checkpoint.data:  # drawn samples, or a run of an older version
        return ""
    before = DataFiles.read(RunFolder(checkpoint.run).data_file, str(checkpoint.data.get("sha256")))
    return config.dataset.files.changes_since(checkpoint.data, before)


def init_from(state: TrainState, checkpoint: Checkpoint) -> None:
    """Copy the networks of another run as far as names and shapes match: ``train.init_from``.

    Raises:
        CheckpointError: When nothing matches.
    """
    matched, missing = state.load_matching(checkpoint.tensors)
    # A bias of one number matches in any network; only a network of nothing but single numbers may match by those.
    if not matched or (missing and all(checkpoint.tensors[name].dim() < 2 for name in matched)):
        what = "holds no weights with the names and shapes of these networks"
        raise CheckpointError(checkpoint.path, what, "choose the model that it was trained with")
    log.info("%d tensors from %s", len(matched), checkpoint.path)
    if missing:
        what = "not in %s with this shape, so initialised at random: %s"
        log.warning(what, checkpoint.path, ", ".join(missing))


def load_weights(
    state: TrainState,
    config: Config,
    resumed: Checkpoint | None,
    description: Mapping[str, Any],
    folder: Path,
) -> None:
    """Load the weights of the run's own checkpoint or of another run, if it does not begin from the seed."""
    if resumed:
        state.load(resumed.tensors, resumed.step, resumed.path)
        state.seconds = resumed.seconds
        if changes := changed_files(config, resumed):
            log.warning("this run will not continue bit for bit: its data changed: %s", changes)
        warn_of_changes(
            resumed.environment | versions(resumed.plugins, folder),
            description["environment"] | versions(description.get(PLUGINS, {}), folder),
        )
    elif config.train.init_from:
        init_from(state, load_checkpoint(config.train.init_from))


def warn_of_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Warn about each part of the environment that differs, since the run then does not continue bit for bit."""
    older = {
        "deterministic": False,
        "compiled": False,
        "replicas": 1,
        "layout": now.get("layout"),
    }  # versions had no such keys
    before = older | before
    changed = [f"{key} {before.get(key)} -> {now[key]}" for key in now if before.get(key) != now[key]]
    if changed:
        log.warning("this run will not continue bit for bit: %s", ", ".join(changed))
