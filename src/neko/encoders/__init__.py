"""Encoders: signals to spikes and, where a code can be inverted, back. NumPy in and out."""

from __future__ import annotations

from typing import Any

from neko.encoders import measures
from neko.encoders.base import ENCODERS, Encoder, RangedEncoder
from neko.encoders.signed import SignedEncoder, ThresholdEncoder
from neko.encoders.tune import Tuning, tune


def resolve(encoder: Any) -> Any:
    """An encoder from its name with options, or an encoder itself.

    Parameters
    ----------
    encoder : str or Encoder
        A name of `ENCODERS` or ``file.py:Class``, with options in parentheses where defaults do not serve, for example
        ``'step_forward(threshold=0.05)'``; or an object with a method ``encode(signal)``.

    Raises
    ------
    ValueError
        For an unknown name, listing the known ones, or an option out of range.
    TypeError
        For an unknown option, or an object without the method.
    """
    found = ENCODERS.make(encoder) if isinstance(encoder, str) else encoder
    if isinstance(found, type) or not callable(getattr(found, "encode", None)):
        raise TypeError(f"encoder={encoder!r}: expected a name or an object with a method encode(signal)")
    return found


__all__ = [
    "ENCODERS",
    "Encoder",
    "RangedEncoder",
    "SignedEncoder",
    "ThresholdEncoder",
    "Tuning",
    "measures",
    "resolve",
    "tune",
]
