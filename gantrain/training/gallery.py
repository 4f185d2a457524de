"""The pictures of a run: sample grids, nearest training images, points over D's landscape, figures and tables."""

import copy
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from gantrain.config.options import Config
from gantrain.core.atomic import replace_file
from gantrain.core.run_folder import FIGURES, RunFolder
from gantrain.datasets.base import Data
from gantrain.reports.end_table import metric_table
from gantrain.sampling.generate import draw
from gantrain.sampling.images import Landscape, encode, grid, nearest_pairs, point_cloud, sort_by_condition
from gantrain.tracking.tracker import Tracker
from gantrain.training.evaluate import in_eval
from gantrain.training.runtime import Runtime
from gantrain.training.state import TrainState

log = logging.getLogger("gantrain")


class Gallery:
    """Writes pictures to the run's folder and the tracker; a full disk does not stop training."""

    def __init__(self, folder: Path, config: Config, data: Data, runtime: Runtime, tracker: Tracker):
        self.folder, self.config, self.data = folder, config, data
        self.runtime, self.tracker = runtime, tracker
        # A conditional grid has a row for each condition, at most 20; another one has 8 rows.
        self.conditions = data.spec.conditions(limit=20) if config.model.is_conditional else None
        self.cells = 8 * (8 if self.conditions is None else len(self.conditions))
        self._untrained: TrainState | None = None  # of step 0, while it has no picture yet

    def begin(self, state: TrainState) -> None:
        """Show training images in the layout of the sample grids, and samples of the untrained generator.

        Points are left to ``draw_untrained``, with networks that are kept until then: the first steps do not wait for
        matplotlib, which takes a third as long to import as torch.
        """
        if self.data.spec.is_image:
            x, y = self.data.train.take(torch.arange(min(self.cells, len(self.data.train))))
            self._image(
                0, "samples/real", grid(sort_by_condition(x, None if self.conditions is None else y), 8)
            )
        if self.config.train.sample_every and self.data.spec.is_image:
            self.sample(state, {})
        elif self.config.train.sample_every:
            self._untrained = replace(state, G_ema=copy.deepcopy(state.G_ema), D=copy.deepcopy(state.D))

    def draw_untrained(self) -> None:
        """Show the samples of step 0 that have no picture yet."""
        if state := self._untrained:
            self._untrained = None
            self.sample(state, {})

    def sample(self, state: TrainState, metrics: Mapping[str, float]) -> None:
        """Show what the averaged generator makes of fixed latents: a grid with nearest neighbours, or points.

        ``metrics`` are of this state, by tag, for the title of a plot.
        """
        self.draw_untrained()  # whose picture comes before this one
        config, spec, step = self.config, self.data.spec, state.step
        count = self.cells if spec.is_image else 2000
        with in_eval(state.G_ema, state.D):
            # The same latents each time, so that pictures of a run can be compared.
            x, y = draw(state.G_ema, count, config.seed, self.conditions, self.runtime.device)
            if spec.is_image:
                png = self._image(step, "samples/ema", grid(sort_by_condition(x, y), 8))
                self._image(step, "samples/nearest", nearest_pairs(x[:32], self.data.train))
            elif spec.shape == (2,):
                named = ("divergence/js", "divergence/js_batch", "diversity/modes")
                known = [tag for tag in named if tag in metrics]
                title = f"step {step}" + "".join(f", {t.split('/')[1]} {metrics[t]:.3g}" for t in known)
                label = "samples of the averaged G" if config.train.ema else "samples"
                image = point_cloud(x, self.data, title, label, self._landscape(state))
                png = self._image(step, "samples/density", image)
            else:  # points of other dimensions have no picture
                return
        self._file(RunFolder(self.folder).samples / f"{step:06d}.png", png)

    def figures(self, step: int, images: Mapping[str, Image]) -> None:
        """Write the figures of metrics: every step for TensorBoard, the latest as ``figures/<name>.png``."""
        for name, image in images.items():
            png = self._image(step, f"figures/{name}", image)
            self._file(self.folder / FIGURES / f"{name}.png", png)

    def table(self, step: int, result: Mapping[str, Any]) -> None:
        """Send the table of an evaluation's metrics, with their intervals, to TensorBoard's TEXT tab."""
        self.tracker.text(step, "run/metrics", indent(metric_table(result), "    "))

    def _image(self, step: int, tag: str, image: Image) -> bytes:
        """Send an image to the tracker, and return it as PNG."""
        png = encode(image)
        self.tracker.image(step, tag, png, image.size)
        return png

    def _file(self, path: Path, png: bytes) -> None:
        try:
            path.parent.mkdir(exist_ok=True)
            replace_file(path, png)
        except OSError as error:
            log.warning("%s/%s cannot be written (%s); training goes on", path.parent.name, path.name, error)

    def _landscape(self, state: TrainState) -> Landscape | None:
        """Return what the plane shows of D; None for a baseline, which trains none."""
        objective, model, noise = self.config.objective, self.config.model, self.config.noise
        if not objective.has_game:
            return None
        what = "D(x)" if self.conditions is None else "the largest D(x, y) over y"
        if model.packing > 1:
            what = f"D of {model.packing} copies of x"
        what += " in a batch of this plane" if model.d_batch_keys else ""

        def probabilities(points: Tensor) -> Tensor:
            return self._d_output(state, points, lambda logits: torch.sigmoid(noise.undo(logits)))

        def logits(points: Tensor) -> Tensor:
            return self._d_output(state, points, lambda logits: logits)

        if objective.classifies:
            return Landscape(probabilities, f"{what}, the probability of real", (0.0, 1.0))
        if objective.has_free_offset:
            return Landscape(logits, f"{what}: more real the higher, of free offset", middle=None)
        return Landscape(logits, f"{what}, real above 0 and fake below")

    def _d_output(self, state: TrainState, points: Tensor, show: Callable[[Tensor], Tensor]) -> Tensor:
        """Return ``show`` of D's logits at points [M, 2], with the condition that gives the most."""
        # A packed D gets packs of equal points.
        points = points.to(self.runtime.device).repeat_interleave(self.config.model.packing, 0)
        if self.conditions is None:
            return show(state.D(points, None).float())
        conditions = self.data.spec.conditions().to(points.device)
        outputs = [show(state.D(points, y.expand(len(points), *y.shape)).float()) for y in conditions]
        return torch.stack(outputs).amax(0)
