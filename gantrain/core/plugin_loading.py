"""Run the code of plug-ins from outside, so that their classes register themselves."""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from gantrain.core import plugins
from gantrain.core.groups import GROUPS, check_choices
from gantrain.core.plugin_trust import trust
from gantrain.core.plugins import PluginFolder, PluginPackage
from gantrain.errors import ConfigError, GantrainError, suggest
from gantrain.registry import REGISTERED, has_schema, unregister


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the files of folders from the bytes that were hashed: no byte code, no sub-folder, no other file."""

    def __init__(self) -> None:
        self.sources: dict[str, tuple[str, bytes]] = {}  # file and content by the module's name

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname not in self.sources:
            return None
        spec = importlib.util.spec_from_file_location(fullname, self.sources[fullname][0], loader=self)
        if spec is not None and "." not in fullname:
            spec.submodule_search_locations = []  # a package in which nothing else is searched
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # Python's own loader would read the file again, or byte code in its place, of which no digest is known.
        file, source = self.sources[module.__name__]
        exec(compile(source, file, "exec", dont_inherit=True), vars(module))


_loader = _Loader()
_loaded: dict[str, PluginFolder] = {}  # by the name of its package


def package_name(folder: PluginFolder) -> str:
    """Return the package that a folder is imported as: two folders may hold files of the same name."""
    return f"gantrain_plugins_{hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:12]}"


def load() -> None:
    """Load the plug-ins of this command: installed packages, and the folders in use, which are trusted from then on.

    Raises:
        ConfigError: Naming file and line of what cannot be loaded.
    """
    for package in plugins.installed_packages():
        _load_package(package)
    for folder in plugins.active_folders():
        _load_folder(folder)
        trust(folder.path, folder.digests)


def recall(remembered: Mapping[str, Any], run: object) -> None:
    """Load the plug-ins that a run remembers, or in their place those that the user named for this command.

    Args:
        remembered: What ``plugins.provenance`` gave when the run was trained.
        run: The run, for messages.

    Raises:
        ConfigError: For plug-ins that the user has not loaded before, are not there, or have changed.
    """
    if not plugins.active_folders():
        plugins.use(plugins.check_provenance(remembered, run))
    load()


def packages_of(config: Mapping[str, Any]) -> list[PluginPackage]:
    """Return the installed packages of which a config names a class by its registered name."""
    names = set(_strings(config))
    modules = {
        cls.__module__ for known in REGISTERED.values() for name, cls in known.items() if name in names
    }
    tops = {module.partition(".")[0] for module in modules}
    return [package for package in plugins.installed_packages() if package.module.partition(".")[0] in tops]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _strings(item)


def _load_package(package: PluginPackage) -> None:
    try:
        importlib.import_module(package.module)
    except (Exception, SystemExit) as error:
        where = f"plug-in package {package.name} {package.version}"
        what = f"cannot be imported ({type(error).__name__}: {' '.join(str(error).split())})"
        raise ConfigError(where, what, f"update it, or pip uninstall {package.name}") from error


def _load_folder(folder: PluginFolder) -> None:
    """Import every Python file of a folder, once for each state of its files. Raises ConfigError."""
    name = package_name(folder)
    if name in _loaded and _loaded[name] == folder:
        return
    _unload(name)  # an earlier state of the same folder
    if _loader not in sys.meta_path:
        sys.meta_path.insert(0, _loader)
    files = {file: content for file, content in folder.files.items() if file.endswith(".py")}
    _loader.sources[name] = (f"{folder.path}/__init__.py", files.pop("__init__.py", b""))
    for file, content in files.items():
        _loader.sources[f"{name}.{file.removesuffix('.py')}"] = (f"{folder.path}/{file}", content)
    try:
        for module in _modules(name, _loader.sources):
            importlib.import_module(module)
    except (Exception, SystemExit) as error:
        _unload(name)
        raise _user_file_error(error, folder) from error
    _loaded[name] = folder


def _modules(package: str, known: Mapping[str, Any]) -> list[str]:
    """Return the names of a package and its modules, in order."""
    return sorted(name for name in known if name == package or name.startswith(f"{package}."))


def _unload(package: str) -> None:
    """Forget a folder's modules and classes, before another state of it is loaded."""
    _loaded.pop(package, None)
    for name in _modules(package, sys.modules):
        del sys.modules[name]
    for name in _modules(package, _loader.sources):
        del _loader.sources[name]
    for group, classes in REGISTERED.items():
        for name in [name for name, cls in classes.items() if cls.__module__.startswith(f"{package}.")]:
            unregister(group, name)


def _user_file_error(error: BaseException, folder: PluginFolder) -> ConfigError:
    """Return what went wrong in a user's file as one line with file and line."""
    if isinstance(error, SyntaxError) and str(error.filename).startswith(f"{folder.path}/"):
        return ConfigError(f"{error.filename}:{error.lineno}", f"is not Python ({error.msg})", "fix the line")
    # The innermost line of the user's, which may have called into gantrain or another library.
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(f"{folder.path}/")]
    where = f"{own[-1].filename}:{own[-1].lineno}" if own else folder.path
    if isinstance(error, GantrainError):
        return ConfigError(where, f"{error.where}: {error.what}", error.remedy)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return ConfigError(where, f"cannot be imported ({what})", "fix the file")


def check_plugin_choices() -> None:
    """Check that the choices that plug-ins bring have names of their own and classes that are registered.

    Raises:
        ConfigError: Naming the YAML file.
    """
    files: dict[str, Path] = {}
    for folder in plugins.config_folders():
        check_choices(folder)
        for path in sorted(folder.glob("*/*.yaml")):
            if path.parent.name not in GROUPS:
                what = f"there is no config group {path.parent.name!r}"
                raise ConfigError(path, what, suggest(path.parent.name, GROUPS))
            choice = f"{path.parent.name}={path.stem}"
            if choice in files:
                raise ConfigError(path, f"is {choice}, and so is {files[choice]}", "rename one of them")
            files[choice] = path
            without_comments = re.sub("#.*", "", path.read_text(encoding="utf-8"))
            for group, name in re.findall(r"/schema/(\w+)/([\w-]+)", without_comments):
                if not has_schema(group, name):
                    what = f"uses /schema/{group}/{name}, and no plug-in registers a class of that name"
                    raise ConfigError(path, what, f'put @register("{group}") above its class')
