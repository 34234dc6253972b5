"""Temperature scaling: calibrate predictions by one number, fitted to held-out examples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neko.arguments import check_number
from neko.bayes.calibration import TINY
from neko.bayes.packages import scipy
from neko.bayes.posterior import Posterior

BOUNDS = (0.02, 50.0)
"""Smallest and largest temperature that is fitted."""


@dataclass(frozen=True)
class TemperatureScaling:
    r"""Divide the logits of class probabilities by a temperature τ,

    .. math::
        p_s'(x) = \mathrm{softmax}(\log p_s(x) / τ)

    of every draw s of a posterior alike, so that the mean prediction is calibrated and the draws still differ. Above 1
    predictions become less confident, below 1 more. `fit` takes the τ that minimises the negative log likelihood of the
    mean prediction :math:`\bar p'` on held-out examples; of one network this is convex in 1/τ. With several draws it
    may have more than one minimum: the best point of a fine grid is refined, and τ = 1 is kept where nothing is better,
    so that the likelihood of these examples is never worse than before.

    The temperature of the density that was drawn from (`Posterior.temperature`) is another one. One number does not
    repair a confidence that is too high for some inputs and too low for others, and the most probable class of a single
    network never changes.

    Parameters
    ----------
    temperature : float
        τ, above 0.

    Raises
    ------
    ValueError
        For a temperature that is not above 0, and predictions or targets that do not fit.

    References
    ----------
    Guo et al. (2017), "On calibration of modern neural networks", section 4.2.
    Rahaman & Thiery (2021), "Uncertainty quantification and deep ensembles", on scaling before or after the mean.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    >>> scaling = TemperatureScaling.fit(p, [0, 0, 0, 1])
    >>> round(scaling.temperature, 6), scaling(p)[0].round(3)
    (2.0, array([0.75, 0.25]))
    """

    temperature: float

    def __post_init__(self) -> None:
        temperature = check_number("temperature", self.temperature, positive=True)
        object.__setattr__(self, "temperature", float(temperature))

    @classmethod
    def fit(cls, predictions: Any, y: Any) -> TemperatureScaling:
        """The scaling of a `Posterior` whose predictions are of held-out examples, or of class probabilities (examples,
        classes), with their targets `y`, class numbers or one-hot."""
        found = predictions if isinstance(predictions, Posterior) else alone(predictions)
        labels = found.classes(y)
        logs = logits(found.probabilities)
        rows = labels[None, ..., None]

        def loss(log_temperature: float) -> float:
            scaled = logs * np.exp(-log_temperature)
            chosen = np.take_along_axis(scaled, rows, axis=-1)[..., 0] - log_sum(scaled, -1)
            return float(np.log(len(chosen)) - log_sum(chosen, 0).mean())

        grid = np.linspace(np.log(BOUNDS[0]), np.log(BOUNDS[1]), 65)
        values = [loss(t) for t in grid]
        best = int(np.argmin(values))
        around = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
        refined = (
            scipy("optimize", "fits of a temperature")
            .minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-10})
            .x
        )
        return cls(float(np.exp(min((0.0, grid[best], refined), key=loss))))

    def __call__(self, predictions: Any) -> Any:
        """A posterior whose draws' predictions are scaled, or scaled class probabilities (…, classes)."""
        if not isinstance(predictions, Posterior):
            return self.scaled(np.asarray(predictions))
        shape = predictions.predictions.shape if predictions.predictions is not None else ()
        return replace(predictions, predictions=self.scaled(predictions.probabilities).reshape(shape))

    def scaled(self, p: np.ndarray) -> np.ndarray:
        """softmax(log p / τ) over the last axis."""
        z = logits(p) / self.temperature
        return np.asarray(np.exp(z - log_sum(z, -1)[..., None]).astype(p.dtype))


def alone(p: Any) -> Posterior:
    """Class probabilities as the posterior of one draw."""
    p = np.asarray(p)
    if p.ndim not in (2, 3) or not (np.all(p >= 0.0) and np.allclose(p.sum(axis=-1), 1.0, atol=1e-4)):
        raise ValueError(
            f"predictions has shape {p.shape!r}: expected class probabilities (examples, [time,] classes) of at least "
            "0 with a sum of 1, or a Posterior that has such predictions"
        )
    one = np.full((1, 1), np.nan)
    return Posterior({}, one, one, one[0], p[None, None])


def logits(p: np.ndarray) -> np.ndarray:
    """log p in double precision, of probabilities of at least `TINY`."""
    return np.asarray(np.log(np.maximum(p, TINY, dtype=np.float64)))


def log_sum(z: np.ndarray, axis: int) -> np.ndarray:
    """log Σ exp z over an axis, without overflow."""
    top = z.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(z - top).sum(axis=axis)) + top.squeeze(axis))
