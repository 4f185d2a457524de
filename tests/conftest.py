"""What every test process shares: one thread, caches of its own, and the command line called in this process."""

import gc
import logging
import os
import pickle
from pathlib import Path

import pytest

# Before torch is imported: the networks of the tests are small, and `pytest -n 2` fills two cores by itself.
os.environ.setdefault("OMP_NUM_THREADS", "1")
HOME = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give `pytest -n 2` all tests of a file to one process, so that what they share is made once."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log) if config.getvalue("dist") == "load" else None


def pytest_collection_finish():
    """Leave the libraries and the list of tests, which live to the end, out of every search for garbage."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Give what is shared the same draws of torch's own generator, whichever test asks for it first."""
    _seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call():
    """Give each test the draws that it has when it runs alone."""
    _seed()


def _seed():
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory):
    """Keep gantrain's cache and its record of plug-ins out of the user's, so that no earlier run decides a test."""
    os.environ.setdefault(
        "MPLCONFIGDIR", str(HOME / "matplotlib")
    )  # its index of fonts takes seconds to make
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session", autouse=True)
def yaml_read_once():
    """Keep what Hydra makes of each of gantrain's own YAML files: reading them is a tenth of what composing costs."""
    from gantrain.config.sources import TypedFileSource
    from gantrain.core.groups import yaml_dir

    read, kept = TypedFileSource.load_config, dict[str, bytes]()

    def load_config(self, config_path):
        if self.path != str(yaml_dir()):
            return read(self, config_path)
        if config_path not in kept:
            kept[config_path] = pickle.dumps(read(self, config_path))
        return pickle.loads(kept[config_path])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TypedFileSource, "load_config", load_config)
        yield


@pytest.fixture
def separate_plugins(tmp_path_factory, monkeypatch):
    """Give a test a record of plug-ins of its own, and leave none of its plug-ins behind."""
    from gantrain.core import plugin_loading, plugin_trust, plugins
    from gantrain.registry import REGISTERED, unregister

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    before = {group: dict(known) for group, known in REGISTERED.items()}
    plugin_trust._loaded_before.clear()
    plugins.use([])
    yield
    plugins.use([])
    plugin_trust._loaded_before.clear()
    for name in list(plugin_loading._loaded):
        plugin_loading._unload(name)
    for group, known in REGISTERED.items():  # those of packages
        for name in known.keys() - before[group].keys():
            unregister(group, name)


@pytest.fixture
def run_cli(tmp_path, monkeypatch, capfd):
    """Return ``run(*argv) -> (exit code, stdout, stderr)``: the command in this process, in ``tmp_path``."""
    import torch

    from gantrain.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GANTRAIN_DEBUG", raising=False)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as the command sets it, to be restored
    threads, handlers = torch.get_num_threads(), logging.root.handlers[:]

    def run(*argv: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(word) for word in argv])
        torch.set_num_threads(threads)
        logging.root.handlers[:] = handlers  # those of the command write to this test's stderr
        return code, *capfd.readouterr()

    return run


@pytest.fixture(scope="module")
def fresh():
    """Return the command as a function, each call of which is a new process: ``fresh_commands``."""
    from fresh_processes import fresh_commands

    with fresh_commands() as run:
        yield run


@pytest.fixture
def no_run(monkeypatch) -> str:
    """Let each line that is not refused end in an error of its own in place of a run, and return that error."""

    from gantrain.errors import GantrainError

    def accept(*_: object, **__: object) -> None:
        raise GantrainError("accepted", "in place of a run", "none")

    monkeypatch.setattr("gantrain.training.start.prepare_together", accept)
    monkeypatch.setattr("gantrain.cli.train.run_hydra_main", accept)
    return "gantrain: error: accepted: in place of a run; none\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder that holds what datasets read from files: a few images as torchvision lays them out, and a table."""
    from idx_files import write_idx
    from PIL import Image

    root = tmp_path_factory.mktemp("data")
    for name in ("MNIST", "FashionMNIST"):
        write_idx(root / name / "raw", 40, 20)
    lines = [f"{i % 7},{i * i % 11},{i / 3:.2f}" for i in range(60)]
    (root / "numbers.csv").write_text("\n".join(["a,b,c", *lines]) + "\n")
    for i in range(40):
        Image.effect_noise((9, 12), 50 + i).save(root / f"{i}.png")
    with pytest.MonkeyPatch.context() as patch:
        cifar10(root, patch)
        yield root


def cifar10(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Write CIFAR-10's files with a few images, and have torchvision take their check sums for the published ones."""
    import hashlib
    import pickle

    import numpy as np
    from torchvision.datasets import CIFAR10

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
