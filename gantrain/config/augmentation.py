"""Checks of the augmentation of D's inputs."""

from collections.abc import Iterator

from gantrain.config.options import Config
from gantrain.errors import ConfigError


def augment_errors(config: Config) -> Iterator[ConfigError]:
    """There is a D whose inputs it transforms, and one whose logits say what it reads of them."""
    augment, objective, remedy = config.augment, config.objective, "set augment=none"
    if augment.active and not objective.has_game:
        yield ConfigError("augment", "there is no discriminator whose inputs to augment", remedy)
    if reason := augment.why_unsupported(config.spec):
        yield ConfigError("augment", reason, remedy)
    if augment.reads_signs and objective.has_free_offset:
        what = (
            f"reads the signs of D's logits, and only their differences count for objective={objective.name}"
        )
        yield ConfigError(
            "augment", what, "set augment.target=null and augment.p=0.2, or augment=diffaugment"
        )
