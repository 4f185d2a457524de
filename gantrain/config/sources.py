"""Where Hydra finds YAML files, and how it reads them: scalars by the type of their key, as on the command line."""

from __future__ import annotations

import os
import re
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from gantrain.config.key_types import type_of_key
from gantrain.core.plugins import active_folders, config_folders, use
from gantrain.core.scalars import INTEGER, NUMBER, check_scalar

TAG = "tag:yaml.org,2002:"
SCALAR_TAGS = {TAG + name for name in ("str", "bool", "int", "float", "timestamp")}
SUM = re.compile(r"penalty/(\w+(?:\+\w+)+)")
PARAMS = "hydra.sweeper.params."  # a mapping whose keys have dots


class PluginSearchPath(SearchPathPlugin):
    """Adds each plug-in's folder of YAML files to Hydra's search path, after gantrain's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the folders."""
        for folder in config_folders():
            search_path.append("gantrain-plugins", f"file://{folder}")


class TypedFileSource(FileConfigSource):
    """Hydra's source of YAML files, which reads each scalar by the type of its key."""

    def __init__(self, provider: str, path: str):
        super().__init__(provider, path)
        self.plugins = active_folders()

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        use(self.plugins)  # in a process of a launcher, which has registered no class so far
        load_plugins()

    def is_config(self, config_path: str) -> bool:
        """Return whether there is such a file, or several choices are to be added up."""
        return bool(_summands(config_path)) or super().is_config(config_path)

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a file's config. Raises ConfigLoadError, yaml.YAMLError, ConfigError."""
        if summands := _summands(config_path):
            config = OmegaConf.create(
                {"defaults": [{f"/penalty@{name}": name} for name in summands], "name": "sum"}
            )
            return ConfigResult(self.provider, f"file://{self.path}", config, header={"package": None})
        name = self._normalize_file_name(config_path)
        path = os.path.realpath(os.path.join(self.path, name))
        if not os.path.exists(path):
            raise ConfigLoadError(f"Config not found : {path}")
        with open(path, encoding="utf-8") as file:
            header = self._get_header_dict(file.read(512))
            file.seek(0)
            group = os.path.dirname(name).replace("/", ".")
            package = {None: group, "_group_": group, "_global_": ""}.get(
                header["package"], header["package"]
            )
            loader = yaml.SafeLoader(file)
            try:
                node = loader.get_single_node()
                _set_types(node, package or "", name, set())
                plain = loader.construct_document(node) if node else {}
            finally:
                loader.dispose()
        config = OmegaConf.create({} if plain is None else plain)
        return ConfigResult(provider=self.provider, path=f"file://{self.path}", config=config, header=header)


def _summands(config_path: str) -> list[str]:
    """Return the choices that ``penalty=r1+lecam`` names; none for another path."""
    names = SUM.fullmatch(config_path.removesuffix(".yaml"))
    return names[1].split("+") if names else []


# In a process of a launcher Hydra registers its own class again, which its registry passes over by the name.
TypedFileSource.__name__ = FileConfigSource.__name__


def _set_types(node: yaml.Node | None, key: str, file: str, visited: set[tuple[int, str]]) -> None:
    """Set the tags of a file's scalars by the types of their keys. Raises ConfigError."""
    if (id(node), key) in visited:  # an alias
        return
    visited.add((id(node), key))
    if isinstance(node, yaml.MappingNode):
        names = [str(name.value) for name, _ in node.value]
        for i, (name, (start, value)) in enumerate(zip(names, node.value, strict=True)):
            if name in names[:i]:  # of which YAML would take the last
                raise yaml.constructor.ConstructorError(
                    None, None, f"found duplicate key {name}", start.start_mark
                )
            if name != "defaults":
                path = [part for part in (key, name) if part not in ("", "<<")]
                _set_types(value, ".".join(path), file, visited)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _set_types(item, key, file, visited)
    elif isinstance(node, yaml.ScalarNode) and node.tag in SCALAR_TAGS and "${" not in node.value:
        _set_type(node, key, file)


def _set_type(node: yaml.ScalarNode, key: str, file: str) -> None:
    kind = type_of_key(key)
    check_scalar(f"{key} in {file}", node.value, kind.scalars)
    is_number = kind.scalars != {bool} and NUMBER.fullmatch(node.value)
    if kind.is_text or key.startswith(PARAMS) or node.style:
        node.tag = f"{TAG}str"
    elif is_number and (kind.scalars or not node.value.isalpha()):  # YAML takes 1e3 for a text
        node.tag = f"{TAG}int" if INTEGER.fullmatch(node.value) else f"{TAG}float"
    elif node.tag != f"{TAG}bool":  # it takes 010 for 8, and 12:30 for 750
        node.tag = f"{TAG}str"


def load_plugins() -> None:
    """Load the plug-ins of this command, before its words are read. Raises ConfigError."""
    from gantrain.config.resolve import refresh_suite  # registers the shipped classes, which takes a second
    from gantrain.core.plugin_loading import check_plugin_choices, load

    load()
    refresh_suite()
    check_plugin_choices()
    Plugins.instance().register(PluginSearchPath)
    SourcesRegistry.instance().types["file"] = TypedFileSource
