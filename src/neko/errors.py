"""Errors that are neko's own; a wrong argument is a ValueError or TypeError as everywhere."""

from __future__ import annotations


class NonFiniteError(ArithmeticError):
    """A loss, gradient or parameter became infinite or not a number; the model keeps its last good parameters.

    Attributes
    ----------
    step : int
        Number of the update, from 0.
    tensor : str
        What was not finite first: ``'loss'``, ``'gradient of <parameter>'`` or ``'<parameter> after the update'``.
    """

    def __init__(self, step: int, tensor: str, remedy: str) -> None:
        super().__init__(f"step {step}: {tensor} is not finite; {remedy}")
        self.step = step
        self.tensor = tensor


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: truncated, altered, of another run, or of a newer neko."""


class ActivityWarning(UserWarning):
    """A layer of spiking neurons was silent, fired nearly all the time, or faster than any neurons do, for an epoch."""


class CompilationWarning(UserWarning):
    """A framework compiles a step again and again, since batches come in many shapes."""


class GradientError(ValueError):
    """Nothing was recorded from the parameters to the loss, so that there is no gradient to follow."""


class GradientWarning(UserWarning):
    """Nothing was recorded from some parameters of a user's module to the loss: they stay as they are."""


class SamplingWarning(UserWarning):
    """A sampler was given what is probably not meant: a likelihood of one step a sequence, or other parameters."""
