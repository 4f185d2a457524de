"""Hydra's source of YAML files is gantrain's, in the processes of a launcher too."""

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton

from gantrain.config.sources import TypedFileSource, load_plugins


def test_typed_source_is_kept_in_a_process_of_a_launcher():
    load_plugins()
    before = Singleton.get_state()
    Singleton.set_state(before)  # as a launcher's process does with the state of the sweep's
    load_plugins()
    registry = SourcesRegistry.instance()
    registry.register(FileConfigSource)
    assert registry.types["file"] is TypedFileSource
    assert Plugins.instance() is not None
