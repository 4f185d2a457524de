"""Which of several runs had an update that was not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gantrain.core.gradients import divergence
from gantrain.errors import Diverged
from gantrain.training.costs import PENALTIES, Tags


class StackedChecks:
    """The checks of all runs: read at once on the CPU, now and then on a device."""

    def __init__(self) -> None:
        self._kinds: list[str] = []  # of the updates of a step: d or g
        self._is_refused: Tensor | None = None  # [R]
        self._numbers: Tensor | None = None  # of the first step refused to each run, [updates, 2, R]

    def add(self, reports: Sequence[Tags], finite: Tensor) -> None:
        """Add a step: the reports of its updates, each tag [R], and whether all of a run was finite, [R]."""
        if finite.device.type == "cpu" and bool(finite.all()):
            return
        self._kinds = ["d" if "loss/d" in tags else "g" for tags in reports]
        pairs = []
        for kind, tags in zip(self._kinds, reports, strict=True):
            loss = tags[f"loss/{kind}"]
            loss = loss + sum(tags[tag] for tag in PENALTIES if tag in tags)
            pairs.append(torch.stack([loss, tags[f"gradient/{kind}"]]))
        numbers = torch.stack(pairs)
        if self._is_refused is None or self._numbers is None:
            self._is_refused, self._numbers = ~finite, numbers
        else:
            self._numbers = torch.where(self._is_refused, self._numbers, numbers)
            self._is_refused = self._is_refused | ~finite

    def read(self) -> dict[int, Diverged]:
        """Wait for the device, and return the error of each run that diverged, by its row."""
        if self._is_refused is None or self._numbers is None:
            return {}
        found = {}
        for row in self._is_refused.nonzero().flatten().tolist():
            for kind, (loss, norm) in zip(self._kinds, self._numbers[:, :, row].tolist(), strict=True):
                if not math.isfinite(loss + norm):
                    found[row] = divergence(kind, loss, norm)
                    break
        return found
