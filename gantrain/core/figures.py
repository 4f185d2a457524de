"""Matplotlib figures without a window."""

import os
import sys
from typing import Any

from PIL import Image


def load_matplotlib() -> None:
    """Import matplotlib, without the settings of the working folder: with theirs it would run LaTeX on any text."""
    if "matplotlib" not in sys.modules:  # else they are those of the program
        import matplotlib

        if os.path.realpath(os.path.dirname(matplotlib.matplotlib_fname())) == os.path.realpath("."):
            matplotlib.rcdefaults()


def panels(
    columns: int = 1, width: float = 5.4, height: float = 4.8, is_fitted: bool = True
) -> tuple[Any, list[Any]]:
    """Return a matplotlib figure and its axes side by side, each ``width`` by ``height`` inches at 100 dots an inch.

    Margins are fitted to what stands in them, which takes longer than to draw it, or else axes stay where they are put.
    """
    load_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Without pyplot: no window, and no list of open figures that grows during training.
    figure = Figure(figsize=(width * columns, height), dpi=100, layout="constrained" if is_fitted else None)
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def legend_below(figure: Any, *axes: Any) -> None:
    """Put one legend of the lines of all axes below the figure."""
    lines = [line for ax in axes for line in ax.get_lines()]
    labels = [line.get_label() for line in lines]
    figure.legend(lines, labels, loc="outside lower center", ncols=len(lines), fontsize=8)


def render(figure: Any) -> Image.Image:
    """Return a figure as an RGB image: the pixels that a PNG of it has, in half the time."""
    figure.canvas.draw()
    size = figure.canvas.get_width_height()
    return Image.frombuffer("RGBA", size, figure.canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")
