"""Figures as Matplotlib objects, which `save` writes; nothing is shown."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from neko.arguments import as_path
from neko.io import files
from neko.plots import colours
from neko.plots.arrays import conductance_history, pulse_counts
from neko.plots.chains import chains, ranks
from neko.plots.comparison import comparison
from neko.plots.conductances import conductances
from neko.plots.devices import device, fitted, response
from neko.plots.encoding import codes, encoding, fronts
from neko.plots.posterior import posterior
from neko.plots.reliability import reliability, selective
from neko.plots.report import report
from neko.plots.sweep import sweep
from neko.plots.traces import traces
from neko.plots.training import learning_curves, membrane, overview, raster


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure, creating its folder; the suffix gives the format, by default PNG."""
    content = io.BytesIO()
    figure.savefig(content, dpi=150, format=format_of(path))
    return files.write(path, content.getvalue())


def format_of(path: str | Path) -> str:
    """The format that a suffix names; ValueError for one that Matplotlib does not write."""
    found = as_path("path", path).suffix.removeprefix(".").lower() or "png"
    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if found not in known:
        raise ValueError(f"figure {str(path)!r}: expected a path that ends in one of {known!r}")
    return found


__all__ = [
    "chains",
    "codes",
    "colours",
    "comparison",
    "conductance_history",
    "conductances",
    "device",
    "encoding",
    "fitted",
    "format_of",
    "fronts",
    "learning_curves",
    "membrane",
    "overview",
    "posterior",
    "pulse_counts",
    "ranks",
    "raster",
    "reliability",
    "report",
    "response",
    "save",
    "selective",
    "sweep",
    "traces",
]
