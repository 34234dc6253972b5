"""The interface of experiments: trials, what each measures, and the table and figures made of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from matplotlib.figure import Figure

from neko import backend as backends
from neko.arguments import check_choice, check_integer
from neko.experiments.results import Results, Table
from neko.registry import Registry

EXPERIMENTS: Registry[type[Experiment]] = Registry(
    "experiment", "neko.experiments", other="file.py:Class of an own experiment"
)
"""Experiments by the name that ``neko reproduce`` takes."""


class Trial(NamedTuple):
    """One training or measurement, the unit in which an experiment is stopped and goes on.

    Attributes
    ----------
    row
        What is tried, for example ``'step_forward, e-prop'``; trials of one row differ in seed or fold only.
    seed
        Seed of everything random in it.
    options
        Plain values that `Experiment.measure` needs, for example ``{'fold': 2}``.
    """

    row: str
    seed: int
    options: dict[str, Any] = {}  # noqa: RUF012

    @property
    def key(self) -> str:
        """A name for a file, unique among the trials of an experiment.

        >>> Trial("1,000 LIF, e-prop", 3, {"fold": 2}).key
        '1-000-LIF-e-prop-fold-2-seed-3'
        """
        words = [self.row, *(f"{name}-{value}" for name, value in self.options.items()), f"seed-{self.seed}"]
        return "-".join(re.sub(r"[^\w.]+", "-", word).strip("-") for word in words)


class Experiment(ABC):
    """One figure or table of the paper.

    The docstring of a subclass becomes the report's set-up: its first line is the question, the rest says what is
    trained on which data, and the source. Whatever a trial's numbers depend on is in `Trial` or in `settings`, so that
    a folder never mixes numbers of different settings. Data and models are made in `measure`, or once as a
    ``functools.cached_property``.

    Parameters
    ----------
    seeds : int, optional
        Number of seeds, `default_seeds` if not given, or 1 if `quick`. More seeds may be added to a folder later.
    quick : bool
        Fewer rows, examples or epochs on the same real data, in less than twenty seconds on two cores.
    backend : {'torch', 'jax', 'tensorflow'}, optional
        Where networks are trained, the first that is installed if not given.

    Attributes
    ----------
    title : str
        Title of the report, such as ``'Table 1: encoders of heartbeats'``.
    default_seeds : int
        Seeds if none are given.
    data_sets : tuple of str
        Names of the data sets that it loads; the report has their licences.
    packages : tuple of str
        Distributions, besides NumPy and the backend's, that numbers depend on; the report has their versions.
    """

    title: ClassVar[str]
    default_seeds: ClassVar[int] = 5
    data_sets: ClassVar[tuple[str, ...]] = ()
    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, seeds: int | None = None, quick: bool = False, backend: str | None = None) -> None:
        default = 1 if quick else self.default_seeds
        self.seeds = check_integer("seeds", default if seeds is None else seeds)
        self.quick = quick
        self.backend = backends.default() if backend is None else backend
        check_choice("backend", self.backend, backends.available())

    def settings(self) -> dict[str, Any]:
        """Plain values that every trial depends on, such as epochs and sizes, by name; the report lists them."""
        return {}

    @abstractmethod
    def trials(self) -> list[Trial]:
        """All trials in the order in which they run: all rows of the first seed, then of the second, …"""

    @abstractmethod
    def measure(self, trial: Trial) -> dict[str, Any]:
        """Run one trial; its measures by name, each a number or a list of numbers (a curve, a histogram)."""

    @abstractmethod
    def table(self, results: Results) -> Table:
        """The table: means with 95 % intervals, and the paper's figures beside ours."""

    def shown(self, results: Results) -> str:
        """The table as the report shows it, in Markdown."""
        return self.table(results).markdown()

    def figures(self, results: Results) -> dict[str, Figure]:
        """Figures by file name without suffix."""
        return {}

    def pages(self, results: Results) -> dict[str, bytes]:
        """Pages for a browser by file name without suffix."""
        return {}

    def notes(self, results: Results) -> str:
        """Markdown paragraphs below the table: what of the paper is reached, what is not, and why."""
        return ""
