"""Errors and warnings specific to neko; a wrong argument raises ValueError or TypeError."""

from __future__ import annotations


class NonFiniteError(ArithmeticError):
    """A loss, gradient or parameter became infinite or not a number; the model keeps its last good parameters.

    Attributes
    ----------
    step : int
        Number of the update, from 0.
    tensor : str
        The first that was not finite: ``'loss'``, ``'gradient of <parameter>'`` or ``'<parameter> after the update'``.
    """

    def __init__(self, step: int, tensor: str, remedy: str) -> None:
        super().__init__(f"step {step}: {tensor} is not finite; {remedy}")
        self.step = step
        self.tensor = tensor


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: truncated, altered, of another run, or of a newer neko."""


class ActivityWarning(UserWarning):
    """During an epoch a layer of spiking neurons was silent, saturated, or above physiological firing rates."""


class CompilationWarning(UserWarning):
    """A framework recompiles a step repeatedly, because batches come in many shapes."""


class PrecisionWarning(UserWarning):
    """A processor has no products in the precision that was asked for: the numbers are those, without the speed."""


class GradientError(ValueError):
    """The framework recorded no operation from the parameters to the loss, so there is no gradient."""


class GradientWarning(UserWarning):
    """No operation was recorded from some parameters of a user's module to the loss: they do not change."""


class SamplingWarning(UserWarning):
    """Arguments of a sampler are probably unintended: a likelihood of one step per sequence, or other parameters."""


class ExchangeError(ValueError):
    """A file of another library, or a network, that cannot be translated without a loss that nobody would see."""


class WorldError(RuntimeError):
    """Another process of a distributed run has ended, so that this one cannot go on."""
