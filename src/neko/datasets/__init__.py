"""Real data as NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable

from neko.datasets import digits, mnist, mnist1d
from neko.datasets.dataset import Dataset

DATASETS: dict[str, Callable[[], Dataset]] = {
    "digits": digits.load,
    "mnist": mnist.load,
    "mnist1d": mnist1d.load,
    "mnist1d-step": mnist1d.load_step,
}


def load(name: str) -> Dataset:
    """The data set of a name; ValueError lists the names there are."""
    if name not in DATASETS:
        raise ValueError(f"data set {name!r}: expected one of {sorted(DATASETS)}")
    return DATASETS[name]()


__all__ = ["DATASETS", "Dataset", "load"]
