"""Hydra's store, which holds the schemas of the registry from the first import of this module on."""

from hydra.core.config_store import ConfigStore as ConfigStore

from gantrain.registry import SCHEMAS, STORES


def update(group: str, name: str) -> None:
    """Put the schema of a name into Hydra's store, or take it out if it is there no more."""
    store, folder = ConfigStore.instance(), f"schema/{group}" if group else "schema"
    stored = store.repo.get("schema", {})
    (stored.get(group, {}) if group else stored).pop(
        f"{name}.yaml", None
    )  # Hydra 1.4 warns about a second one
    if name in SCHEMAS.get(group, {}):
        store.store(group=folder, name=name, node=SCHEMAS[group][name])


STORES.append(update)
for _group, _names in SCHEMAS.items():
    for _name in _names:
        update(_group, _name)
