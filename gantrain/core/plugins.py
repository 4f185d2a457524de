"""Plug-ins from outside the package: which are in use, what a run remembers of them, and which the user trusts.

A plug-in is code. It is loaded because the user named its folder or installed its package, never because a checkpoint,
a run, a sweep or a config names it: what a run remembers counts only where the user has loaded the same files before.
This module reads files and runs none of them; ``gantrain.core.plugin_loading`` does.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gantrain.errors import CheckpointError, ConfigError

ENTRY_POINTS = "gantrain.plugins"


class PluginFolder(NamedTuple):
    """A folder of the user's own, as it was when it was read.

    Attributes:
        path: Absolute and without links.
        files: What each file holds, by its path in the folder: Python files in the folder itself, and
            ``configs/<group>/<name>.yaml``.
    """

    path: str
    files: Mapping[str, bytes]

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file."""
        import hashlib  # here, since the help page and completion use this module and load in milliseconds

        return {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}

    @property
    def configs(self) -> Path:
        """Where its YAML files are."""
        return Path(self.path, "configs")


class PluginPackage(NamedTuple):
    """An installed package with an entry point for gantrain.

    Attributes:
        name: The distribution.
        version: Its version.
        module: What the entry point names.
    """

    name: str
    version: str
    module: str

    @property
    def configs(self) -> Path | None:
        """The folder ``configs`` next to the module, which is found without running any of the package."""
        places: Sequence[str] | None = None
        origin: str | None = None
        parts = self.module.split(".")
        for i in range(len(parts)):
            name = ".".join(parts[: i + 1])
            found = (finder.find_spec(name, places) for finder in sys.meta_path)
            spec = next((spec for spec in found if spec is not None), None)
            if spec is None:
                return None
            origin, places = spec.origin, spec.submodule_search_locations
        return Path(origin).parent / "configs" if origin else None


_active: list[PluginFolder] = []  # those of the command that is running


def read_folder(where: str | os.PathLike[str]) -> PluginFolder:
    """Read a folder of plug-ins; tests in it are left alone.

    Raises:
        ConfigError: When it is not there, holds no plug-ins, or cannot be read.
    """
    path = Path(where).expanduser().resolve()
    if not path.is_dir():
        raise ConfigError("--plugins", f"there is no folder {path}", "give the folder of your Python files")
    found = [file for file in path.glob("*.py") if not file.name.startswith(("test_", "conftest.", "."))]
    found += path.glob("configs/**/*.yaml")
    try:
        files = {file.relative_to(path).as_posix(): file.read_bytes() for file in found if file.is_file()}
    except OSError as error:
        raise ConfigError(error.filename, f"cannot be read ({error.strerror})", "make it yours") from error
    if not files:
        remedy = "put Python files there, and their choices into configs/GROUP/NAME.yaml"
        raise ConfigError(path, "holds no plug-ins", remedy)
    return PluginFolder(str(path), dict(sorted(files.items())))


def split_plugins(argv: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return a command line without ``--plugins DIR``, and the folders that it names. Raises ConfigError."""
    rest, folders = [], []
    words = iter(argv)
    for word in words:
        if word == "--plugins":
            folders.append(next(words, ""))
        elif word.startswith("--plugins="):
            folders.append(word.partition("=")[2])
        else:
            rest.append(word)
    if "" in folders:
        raise ConfigError("--plugins", "names no folder", "write --plugins DIR")
    return rest, folders


def use(folders: Iterable[str | os.PathLike[str] | PluginFolder]) -> None:
    """Make these the plug-ins of the command that begins, and drop those of the one before. Raises ConfigError."""
    _active.clear()
    read = [folder if isinstance(folder, PluginFolder) else read_folder(folder) for folder in folders]
    _active[:] = {folder.path: folder for folder in read}.values()


def active_folders() -> tuple[PluginFolder, ...]:
    """Return the folders of this command."""
    return tuple(_active)


def plugin_words() -> list[str]:
    """Return the words that name the folders of this command again."""
    return [word for folder in _active for word in ("--plugins", folder.path)]


def config_folders() -> list[Path]:
    """Return the folders of YAML files that plug-ins bring, of named folders and of installed packages."""
    found = [folder.configs for folder in _active]
    found += [package.configs for package in installed_packages() if package.configs]
    return [folder for folder in found if folder.is_dir()]


def installed_packages() -> tuple[PluginPackage, ...]:
    """Return the installed packages that have an entry point for gantrain; none of them is imported.

    The working folder is left out, which python -m puts first: what lies there may be a stranger's.
    """
    here = ""
    with suppress(OSError):  # a working folder that was removed
        here = os.getcwd()
    absolute = (place for place in sys.path if os.path.isabs(place))
    return _packages_in(tuple(place for place in absolute if os.path.realpath(place) != here))


@functools.cache
def _packages_in(places: tuple[str, ...]) -> tuple[PluginPackage, ...]:
    if not any(map(_has_entry_point, places)):
        return ()  # importing importlib.metadata takes longer than all that gantrain list does
    from importlib.metadata import distributions

    found: dict[tuple[str, str], PluginPackage] = {}
    for distribution in distributions(path=list(places)):
        for entry in distribution.entry_points.select(group=ENTRY_POINTS):
            package = PluginPackage(distribution.name, distribution.version, entry.module)
            found.setdefault((package.name, package.module), package)  # the first place wins, as for imports
    return tuple(found[key] for key in sorted(found))


def _has_entry_point(place: str) -> bool:
    """Whether a folder of installed packages has one with an entry point for gantrain."""
    with suppress(OSError):
        for name in os.listdir(place):
            if name.endswith((".dist-info", ".egg-info")):
                with suppress(OSError):
                    if f"[{ENTRY_POINTS}]".encode() in Path(place, name, "entry_points.txt").read_bytes():
                        return True
    return False


def provenance(packages: Iterable[PluginPackage] = ()) -> dict[str, Any]:
    """Return what a run, checkpoint or sweep remembers of its plug-ins as plain data; empty without any.

    Args:
        packages: The installed ones that it uses.
    """
    folders = [{"path": folder.path, "sha256": folder.digests} for folder in _active]
    named = [{"name": package.name, "version": package.version} for package in packages]
    return {key: value for key, value in (("folders", folders), ("packages", named)) if value}


def _read_provenance(
    remembered: Mapping[str, Any], run: object
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return the digests of each folder's files and the version of each package. Raises CheckpointError."""
    try:
        folders = {str(one["path"]): dict(one["sha256"]) for one in remembered.get("folders", ())}
        packages = {str(one["name"]): str(one["version"]) for one in remembered.get("packages", ())}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(run, "does not say which plug-ins it used", "add --plugins DIR") from error
    return folders, packages


def versions(remembered: Mapping[str, Any], run: object) -> dict[str, str]:
    """Return a short digest of each Python file and the version of each package. Raises CheckpointError."""
    folders, packages = _read_provenance(remembered, run)
    files = [item for digests in folders.values() for item in digests.items()]
    return {name: str(digest)[:12] for name, digest in files if name.endswith(".py")} | packages


def check_provenance(remembered: Mapping[str, Any], run: object) -> list[PluginFolder]:
    """Return the folders that a run remembers, read again, where the user has loaded the same files before.

    Args:
        remembered: What ``provenance`` gave, or what somebody wrote in its place.
        run: The run, for messages.

    Raises:
        ConfigError: For files that the user has not loaded before, are not there, or have changed; a package that is
            not installed.
        CheckpointError: For anything but what ``provenance`` gives.
    """
    from shlex import quote

    from gantrain.core.plugin_trust import is_trusted

    folders, packages = _read_provenance(remembered, run)
    # A path that the user has not trusted is not even looked at: it may be a device, or another user's.
    add = "add to the command: " + " ".join(f"--plugins {quote(path)}" for path in folders)
    for path, digests in folders.items():
        what = f"was trained with plug-ins of {path}"
        if not is_trusted(path, digests):
            remedy = f"if you trust them, {add}"
            raise ConfigError(run, f"{what}, which you have not loaded before as they were", remedy)
        if not os.path.isdir(path):
            remedy = "restore it, or name where it is now: --plugins DIR"
            raise ConfigError(run, f"{what}, a folder that is not there", remedy)
    read = [read_folder(path) for path in folders]
    for folder, (path, digests) in zip(read, folders.items(), strict=True):
        names = sorted(digests.keys() | folder.digests.keys())
        changed = [name for name in names if digests.get(name) != folder.digests.get(name)]
        if changed or folder.path != path:
            what = f"the plug-ins of {path} have changed since the run"
            detail = ", ".join(changed) or "it is a link"
            raise ConfigError(run, f"{what}: {detail}", f"restore them, or accept the change: {add}")
    known = {package.name for package in installed_packages()}
    for name, version in packages.items():
        if name not in known:
            remedy = f"if you trust it, pip install {quote(f'{name}=={version}')}"
            raise ConfigError(run, f"was trained with the plug-in package {name}, not installed here", remedy)
    return read
