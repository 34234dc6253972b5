"""Several learning rates in turn."""

from __future__ import annotations

from dataclasses import dataclass

from neko.updates import Cosine


@dataclass(frozen=True)
class Turns:
    """Half a cosine from each of `rates` to 0, one after the other, of `steps` updates each.

    >>> Turns((0.1, 0.2), 10)(10)
    0.2
    """

    rates: tuple[float, ...]
    steps: int

    def __call__(self, step: int) -> float:
        turn, within = divmod(step, self.steps)
        return Cosine(self.rates[min(turn, len(self.rates) - 1)], self.steps)(within)
