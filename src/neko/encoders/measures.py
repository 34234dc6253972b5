"""What a code costs and what it keeps: error of the reconstruction, and spikes per sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.encoders.base import Encoder


def snr(signal: Any, reconstruction: Any) -> float:
    r"""Signal-to-noise ratio of a reconstruction in dB, which Petro et al. recommend for choosing parameters.

    .. math:: 10 \log_{10} \frac{\sum_t x_t^2}{\sum_t (x_t - \hat x_t)^2}

    over all entries; infinite for an exact reconstruction. An offset of the signal counts as signal.

    Parameters
    ----------
    signal, reconstruction : array
        Of one shape.

    References
    ----------
    Petro, Kasabov & Kiss (2020), doi:10.1109/TNNLS.2019.2906158.

    Examples
    --------
    >>> snr([3.0, 4.0], [3.0, 3.5])
    20.0
    """
    x, error = difference(signal, reconstruction)
    noise = np.sum(error**2)
    with np.errstate(divide="ignore"):
        return float(10.0 * np.log10(np.sum(x**2) / noise)) if noise else float("inf")


def rmse(signal: Any, reconstruction: Any) -> float:
    """Root of the mean squared error over all entries, in the unit of the signal.

    >>> rmse([3.0, 4.0], [3.0, 2.0])
    1.4142135623730951
    """
    return float(np.sqrt(np.mean(difference(signal, reconstruction)[1] ** 2)))


def density(spikes: Any, signal: Any) -> float:
    """Spikes per sample of the signal and its channel, where a spike down counts as one: Petro's average firing rate.

    It is above 1 where a code gives a sample several spikes.

    >>> density([0.0, 1.0, 0.0, -1.0], [0.0, 0.6, 0.6, 0.0])
    0.5
    """
    return float(np.abs(spikes).sum() / np.size(signal))


def reconstruction(code: Encoder, signal: Any, spikes: Any) -> Any:
    """What an invertible code decodes of the spikes of a signal, given what it keeps aside of that signal."""
    return code.decode(spikes, **code.aside(signal))  # type: ignore[attr-defined]


def difference(signal: Any, reconstruction: Any) -> tuple[np.ndarray, np.ndarray]:
    """The signal and its deviation from the reconstruction, float64; ValueError unless their shapes are one."""
    x, y = np.asarray(signal, dtype=np.float64), np.asarray(reconstruction, dtype=np.float64)
    if x.shape != y.shape:
        raise ValueError(f"reconstruction has shape {y.shape!r}: expected {x.shape!r}, that of the signal")
    return x, x - y
