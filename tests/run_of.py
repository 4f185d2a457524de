"""What a metric is told of a run, from data alone."""

from gantrain.datasets.base import Data
from gantrain.metrics.base import RunSpec
from gantrain.objectives.cross_entropy import NonSaturating


def run_of(data: Data, conditional: bool = False) -> RunSpec:
    """Return a run on loaded data with the default game."""
    return RunSpec(data.spec, NonSaturating(), conditional, density=data.density, data=data)
