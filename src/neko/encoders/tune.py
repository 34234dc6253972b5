"""The options of a code that trade reconstruction error against spikes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from neko.encoders import measures
from neko.encoders.base import ENCODERS, checked
from neko.registry import called


class Row(NamedTuple):
    """A code with one choice of its options, and what it reaches."""

    parameters: dict[str, Any]
    snr: float
    rmse: float
    density: float
    encoder: Any


@dataclass(frozen=True)
class Tuning:
    """What `tune` found.

    Attributes
    ----------
    rows : list of Row
        Every choice that was tried, in order of density.
    """

    rows: list[Row]

    @property
    def front(self) -> list[Row]:
        """The Pareto front: rows than which none has both fewer spikes and a higher SNR, in order of density."""
        best, front = -math.inf, list[Row]()
        for row in self.rows:
            if row.snr > best:
                best, front = row.snr, [*front, row]
        return front

    def best(self, density: float | None = None) -> Row:
        """The row of the highest SNR among those with at most `density` spikes per sample; ValueError if none has."""
        found = [row for row in self.front if density is None or row.density <= density]
        if not found:
            least = self.rows[0].density
            raise ValueError(f"density={density!r}: expected at least {least:.3g} spikes per sample, the fewest found")
        return found[-1]


def tune(code: Any, signals: Any, *, space: Mapping[str, Sequence[Any]] | None = None, progress: bool = True) -> Tuning:
    """Try options of a code on signals and measure reconstruction error and spike density; nothing is random.

    Parameters
    ----------
    code : str, type or Encoder
        A name of `ENCODERS` with the options to keep, such as ``'burst(t_min=1)'``, a class, or an encoder whose
        options that differ from their defaults are kept.
    signals : array (batch, time, channels), or (time,)
        Signals like those to be encoded.
    space : dict, optional
        Values to try by option, all of their combinations; by default those that the code suggests for such signals
        (its class method `space`), in which thresholds follow their range. What has one suggested value, as ``low``
        and ``high`` of codes of values, the ends of that range, takes it in any case.
    progress : bool
        Whether the error stream shows a progress bar.

    Returns
    -------
    Tuning
        ``.front``, ``.best(density)`` and all ``.rows`` of parameters, SNR in dB, RMSE and spikes per sample; see
        `neko.encoders.measures`. ``.best().encoder`` is ready for use.

    Raises
    ------
    ValueError
        For a code that cannot be inverted or suggests nothing, constant signals, or a space of which no combination is
        a valid code.

    Examples
    --------
    >>> x = np.sin(np.linspace(0.0, 6.0, 600))
    >>> found = tune("step_forward", x, space={"threshold": [0.02, 0.1, 0.5]}, progress=False)
    >>> [row.parameters["threshold"] for row in found.front]
    [0.5, 0.1, 0.02]
    >>> found.best(density=0.1).encoder
    StepForward(split=False, threshold=0.1)
    """
    x = checked("signals", signals)
    if np.ptp(x) == 0.0:
        raise ValueError(f"signals are {x.flat[0]!r} throughout: expected signals that vary")
    kind, kept = parts(code)
    if not getattr(kind, "invertible", False):
        raise ValueError(f"code={code!r} has no decode, so that there is no error: expected an invertible code")
    suggested = {name: values for name, values in kind.space(x).items() if name not in kept}
    if space is not None:
        suggested = {name: values for name, values in suggested.items() if len(values) == 1}
    searched = {**suggested, **(space or {})}
    if not searched or space == {}:
        raise ValueError(f"code={code!r}, space={space!r}: expected options to try, {{'option': [value, …]}}")
    kept = {name: value for name, value in kept.items() if name not in searched}
    rows = []
    tries = [dict(zip(searched, values, strict=True)) for values in itertools.product(*searched.values())]
    for options in track(tries, "tuning", console=Console(stderr=True), transient=True, disable=not progress):
        try:
            encoder = kind(**kept, **options)
        except ValueError as error:  # options that do not go together
            refused = error
            continue
        spikes = encoder.encode(x)
        back = measures.reconstruction(encoder, x, spikes)
        rows.append(Row(options, measures.snr(x, back), measures.rmse(x, back), measures.density(spikes, x), encoder))
    if not rows:
        raise ValueError(f"space={space!r}: expected at least one valid combination; the last error is: {refused}")
    return Tuning(sorted(rows, key=lambda row: (row.density, -row.snr)))


def parts(code: Any) -> tuple[Any, dict[str, Any]]:
    """The class of a code, and its options that are kept."""
    if isinstance(code, str):
        name, options = called(code)
        return ENCODERS.get(name), options
    if isinstance(code, type):
        return code, {}
    if not is_dataclass(code):
        raise TypeError(f"code={code!r}: expected a name, a class or an encoder that is a dataclass")
    return type(code), {f.name: v for f in fields(code) if f.init and (v := getattr(code, f.name)) != f.default}
