"""Run the code of plug-ins from outside, so that their classes register themselves."""

import hashlib
import importlib
import importlib.abc
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from gantrain.core import plugins
from gantrain.core.groups import GROUPS, STUDY, check_choices
from gantrain.core.plugin_trust import trust
from gantrain.core.plugins import PluginFolder, PluginPackage
from gantrain.core.suggestions import suggest
from gantrain.errors import ConfigError, GantrainError
from gantrain.registry import REGISTERED, has_schema, unregister


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports plug-in files from the bytes that were hashed: no byte code, no sub-folder, no other file."""

    def __init__(self) -> None:
        self.sources: dict[str, tuple[str, bytes]] = {}  # path and content by module name

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname not in self.sources:
            return None
        spec = importlib.util.spec_from_file_location(fullname, self.sources[fullname][0], loader=self)
        if spec is not None and "." not in fullname:
            spec.submodule_search_locations = []  # a package, but no folder on disk is searched for it
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # Python's own loader would read the file again, or byte code in its place, whose digest is unknown.
        path, source = self.sources[module.__name__]
        exec(compile(source, path, "exec", dont_inherit=True), vars(module))


_loader = _Loader()
_loaded: dict[str, PluginFolder] = {}  # by package name


def load() -> None:
    """Load the plug-ins of this command: installed packages, and the folders in use, which are trusted from then on.

    Raises:
        ConfigError: Naming the package, or the file and line, that cannot be loaded.
    """
    for package in plugins.installed_packages():
        try:
            importlib.import_module(package.module)
        except (Exception, SystemExit) as error:
            where = f"plug-in package {package.name} {package.version}"
            what = f"cannot be imported ({_one_line(error)})"
            raise ConfigError(where, what, f"update it, or pip uninstall {package.name}") from error
    for folder in plugins.active_folders():
        _load_folder(folder)
        trust(folder.path, folder.digests)


def load_plugins_of(provenance: Mapping[str, Any], run: object) -> None:
    """Load the plug-ins that a run was trained with, unless the user selected others for this command.

    Args:
        provenance: The value of ``plugins.provenance`` when the run was trained.
        run: The run, for messages.

    Raises:
        ConfigError: For plug-ins that the user has not loaded before, that are missing, or have changed.
    """
    if not plugins.active_folders():
        plugins.use(plugins.check_provenance(provenance, run))
    load()


def packages_of(config: Mapping[str, Any]) -> list[PluginPackage]:
    """Return the installed packages that registered a class whose name occurs in a config."""
    # Values only: a registered metric's name is a key of every config, which has a group for the metric's own keys.
    values = _strings(config)
    classes = [cls for known in REGISTERED.values() for name, cls in known.items() if name in values]
    used = {cls.__module__.partition(".")[0] for cls in classes}
    return [package for package in plugins.installed_packages() if package.module.partition(".")[0] in used]


def _strings(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return {text for item in value for text in _strings(item)}
    return {value} if isinstance(value, str) else set()


def _load_folder(folder: PluginFolder) -> None:
    """Import every Python file of a folder, unless these same contents are loaded. Raises ConfigError."""
    # A package name for each path, since two folders may have files of the same name.
    name = f"gantrain_plugins_{hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:12]}"
    if _loaded.get(name) == folder:
        return
    _unload(name)  # earlier contents of the same folder
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


def _modules(package: str, names: Iterable[str]) -> list[str]:
    """Return those names that are a package or its modules, in order."""
    return sorted(name for name in names if name == package or name.startswith(f"{package}."))


def _unload(package: str) -> None:
    """Remove a folder's modules and classes, before its changed files are loaded."""
    _loaded.pop(package, None)
    for modules in (sys.modules, _loader.sources):
        for name in _modules(package, modules):
            modules.pop(name)
    for group, classes in REGISTERED.items():
        for name in [name for name, cls in classes.items() if cls.__module__.startswith(f"{package}.")]:
            unregister(group, name)


def _user_file_error(error: BaseException, folder: PluginFolder) -> ConfigError:
    """Return an error in a user's file as one line with path and line number."""
    if isinstance(error, SyntaxError) and str(error.filename).startswith(f"{folder.path}/"):
        return ConfigError(f"{error.filename}:{error.lineno}", f"is not Python ({error.msg})", "fix the line")
    # The innermost frame in the user's files, which may have called gantrain or another library.
    frames = traceback.extract_tb(error.__traceback__)
    places = [
        f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename.startswith(f"{folder.path}/")
    ]
    where = places[-1] if places else folder.path
    if isinstance(error, GantrainError):
        return ConfigError(where, f"{error.where}: {error.what}", error.remedy)
    return ConfigError(where, f"cannot be imported ({_one_line(error)})", "fix the file")


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def check_plugin_choices() -> None:
    """Check that the YAML files of plug-ins have unique names and use registered classes. Raises ConfigError."""
    files: dict[str, Path] = {}
    for folder in plugins.config_folders():
        check_choices(folder)
        for path in sorted(folder.glob("*/*.yaml")):
            if path.parent.name not in (*GROUPS, STUDY):
                what = f"there is no config group {path.parent.name!r}"
                raise ConfigError(path, what, suggest(path.parent.name, GROUPS))
            choice = f"{path.parent.name}={path.stem}"
            if choice in files:
                raise ConfigError(path, f"is {choice}, and so is {files[choice]}", "rename one of them")
            files[choice] = path
            # Hydra would report an absent schema without the name of the file that asks for it.
            without_comments = re.sub("#.*", "", path.read_text(encoding="utf-8"))
            for group, name in re.findall(r"/schema/(\w+)/([\w-]+)", without_comments):
                if not has_schema(group, name):
                    what = f"uses /schema/{group}/{name}, and no plug-in registers a class of that name"
                    raise ConfigError(path, what, f'put @register("{group}") above its class')
