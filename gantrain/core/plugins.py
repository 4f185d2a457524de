"""Plug-ins from outside the package: which are in use, and which ones a run was trained with.

A plug-in is code. It is loaded because the user named its folder or installed its package, never because a checkpoint,
run, sweep or config names it: the record of a run counts only if the user has loaded the same files before.
This module reads files and runs none of them; ``gantrain.core.plugin_loading`` does.
"""

import functools
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gantrain.errors import CheckpointError, ConfigError

ENTRY_POINTS = "gantrain.plugins"


class PluginFolder(NamedTuple):
    """A snapshot of a user's plug-in folder: the code that runs is the code whose digests are recorded."""

    path: str  # absolute, symbolic links resolved
    files: Mapping[str, bytes]  # contents by relative path: ``*.py`` and ``configs/<group>/<name>.yaml``

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file, in hex."""
        import hashlib  # here, since --help and completion load this module and must start in milliseconds

        return {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}

    @property
    def configs(self) -> Path:
        """The folder of its YAML files."""
        return Path(self.path, "configs")


class PluginPackage(NamedTuple):
    """An installed package that declares an entry point of the group ``gantrain.plugins``."""

    name: str  # of the distribution
    version: str
    module: str  # the target of the entry point

    @property
    def configs(self) -> Path | None:
        """The folder ``configs`` next to the module, located without running any code of the package."""
        # importlib.util.find_spec would import the parent packages, so ask the finders level by level.
        name, places, origin = "", None, None
        for part in self.module.split("."):
            name = f"{name}.{part}".lstrip(".")
            specs = (finder.find_spec(name, places) for finder in sys.meta_path)
            if (spec := next(filter(None, specs), None)) is None:
                return None
            origin, places = spec.origin, spec.submodule_search_locations
        return Path(origin).parent / "configs" if origin else None


_active: list[PluginFolder] = []  # the folders that the running command uses


def read_folder(where: str | os.PathLike[str]) -> PluginFolder:
    """Read a folder of plug-ins, leaving out its tests. Raises ConfigError if it is absent, empty or unreadable."""
    path = Path(os.path.expanduser(where)).resolve()
    if not path.is_dir():
        raise ConfigError("--plugins", f"there is no folder {path}", "give the folder of your Python files")
    paths = [file for file in path.glob("*.py") if not file.name.startswith(("test_", "conftest.", "."))]
    paths += path.glob("configs/**/*.yaml")
    try:
        files = {file.relative_to(path).as_posix(): file.read_bytes() for file in paths if file.is_file()}
    except OSError as error:
        raise ConfigError(error.filename, f"cannot be read ({error.strerror})", "make it yours") from error
    if not files:
        remedy = "put Python files there, and their choices into configs/GROUP/NAME.yaml"
        raise ConfigError(path, "contains no plug-ins", remedy)
    return PluginFolder(str(path), dict(sorted(files.items())))


def split_plugins(argv: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return a command line without ``--plugins DIR``, and the folders that it names. Raises ConfigError."""
    rest, folders, words = [], [], iter(argv)
    for word in words:
        flag, equals, folder = word.partition("=")
        if flag == "--plugins":
            folders.append(folder if equals else next(words, ""))
        else:
            rest.append(word)
    if "" in folders:
        raise ConfigError("--plugins", "names no folder", "write --plugins DIR")
    return rest, folders


def use(folders: Iterable[str | os.PathLike[str] | PluginFolder]) -> None:
    """Set the plug-in folders of the command that starts now, in place of earlier ones. Raises ConfigError."""
    _active.clear()
    read = [folder if isinstance(folder, PluginFolder) else read_folder(folder) for folder in folders]
    _active[:] = {folder.path: folder for folder in read}.values()


def active_folders() -> tuple[PluginFolder, ...]:
    """Return the plug-in folders of the running command."""
    return tuple(_active)


def plugin_words() -> list[str]:
    """Return the command-line arguments that select the same plug-in folders again."""
    return [word for folder in _active for word in ("--plugins", folder.path)]


def config_folders() -> list[Path]:
    """Return the folders of YAML files of all plug-ins, folders and installed packages."""
    sources: list[PluginFolder | PluginPackage] = [*_active, *installed_packages()]
    return [source.configs for source in sources if source.configs and source.configs.is_dir()]


def installed_packages() -> tuple[PluginPackage, ...]:
    """Return the installed packages that declare an entry point for gantrain, without importing any of them."""
    here = ""
    with suppress(OSError):  # a working folder that was removed
        here = os.getcwd()
    # python -m puts the working folder first on the path, where a stranger's files may be: leave it out.
    places = (place for place in sys.path if os.path.isabs(place) and os.path.realpath(place) != here)
    return _packages_in(tuple(places))


@functools.cache
def _packages_in(places: tuple[str, ...]) -> tuple[PluginPackage, ...]:
    # Importing importlib.metadata takes longer than the whole of gantrain list, so look for the text first.
    if not any(map(_has_entry_point, places)):
        return ()
    from importlib.metadata import distributions

    packages: dict[tuple[str, str], PluginPackage] = {}
    for distribution in distributions(path=list(places)):
        for entry in distribution.entry_points.select(group=ENTRY_POINTS):
            package = PluginPackage(distribution.name, distribution.version, entry.module)
            packages.setdefault((package.name, package.module), package)  # the first wins, as for imports
    return tuple(packages[key] for key in sorted(packages))


def _has_entry_point(place: str) -> bool:
    for metadata in (*Path(place).glob("*.dist-info"), *Path(place).glob("*.egg-info")):
        with suppress(OSError):
            if f"[{ENTRY_POINTS}]".encode() in (metadata / "entry_points.txt").read_bytes():
                return True
    return False


def provenance(packages: Iterable[PluginPackage] = ()) -> dict[str, Any]:
    """Return the plug-ins of a run, checkpoint or sweep as plain data: folders and installed packages."""
    folders = [{"path": folder.path, "sha256": folder.digests} for folder in _active]
    versions = [{"name": package.name, "version": package.version} for package in packages]
    return {key: value for key, value in (("folders", folders), ("packages", versions)) if value}


def _parse_provenance(
    plain: Mapping[str, Any], run: object
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return the digests of each folder's files and the version of each package. Raises CheckpointError."""
    try:
        folders = {str(one["path"]): dict(one["sha256"]) for one in plain.get("folders", ())}
        return folders, {str(one["name"]): str(one["version"]) for one in plain.get("packages", ())}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(run, "does not record which plug-ins it used", "add --plugins DIR") from error


def versions(plain: Mapping[str, Any], run: object) -> dict[str, str]:
    """Return a short digest of each Python file and the version of each package. Raises CheckpointError."""
    folders, packages = _parse_provenance(plain, run)
    files = [item for digests in folders.values() for item in digests.items()]
    return {name: str(digest)[:12] for name, digest in files if name.endswith(".py")} | packages


def check_provenance(plain: Mapping[str, Any], run: object) -> list[PluginFolder]:
    """Return the plug-in folders of a run, read again, provided that the user has loaded the same files before.

    Args:
        plain: The value of ``provenance``, which a stranger may have edited.
        run: The run, for messages.

    Raises:
        ConfigError: For files that the user has not loaded before, that are missing or have changed, or a package
            that is not installed.
        CheckpointError: For malformed ``plain``.
    """
    from shlex import quote

    from gantrain.core.plugin_trust import is_trusted

    folders, packages = _parse_provenance(plain, run)
    add = "add to the command: " + " ".join(f"--plugins {quote(path)}" for path in folders)

    # Do not even open a path that is not trusted: it may be a device, or another user's.
    for path, digests in folders.items():
        what = f"was trained with plug-ins of {path}"
        if not is_trusted(path, digests):
            what = f"{what}, which you have not loaded before with these contents"
            raise ConfigError(run, what, f"if you trust them, {add}")
        if not os.path.isdir(path):
            remedy = "restore it, or give its new place: --plugins DIR"
            raise ConfigError(run, f"{what}, and that folder does not exist", remedy)

    # Read all folders before comparing, so that what is compared is what will run.
    current = [read_folder(path) for path in folders]
    for folder, (path, digests) in zip(current, folders.items(), strict=True):
        names = sorted(digests.keys() | folder.digests.keys())
        changed = [name for name in names if digests.get(name) != folder.digests.get(name)]
        if changed or folder.path != path:
            detail = ", ".join(changed) or "it is a link"
            what = f"the plug-ins of {path} have changed since the run: {detail}"
            raise ConfigError(run, what, f"restore them, or accept the change: {add}")

    installed = {package.name for package in installed_packages()}
    for name, version in packages.items():
        if name not in installed:
            remedy = f"if you trust it, pip install {quote(f'{name}=={version}')}"
            raise ConfigError(run, f"was trained with the plug-in package {name}, not installed here", remedy)
    return current
