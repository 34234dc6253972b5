"""Figures, by Matplotlib's objects: nothing is shown, and `save` writes them."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from neko.plots.comparison import comparison
from neko.plots.conductances import conductances
from neko.plots.posterior import posterior
from neko.plots.training import learning_curves, membrane, overview, raster


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure, making its folder; the format follows the suffix."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path


__all__ = [
    "comparison",
    "conductances",
    "learning_curves",
    "membrane",
    "overview",
    "posterior",
    "raster",
    "save",
]
