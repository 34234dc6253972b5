"""What a sweep varies: an option's choices, or a range of numbers."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from neko.arguments import check_choice, check_integer, check_known

DIGITS = 4
"""Significant digits of a number drawn from a range, so that the name of a trial tells it whole."""


class Varied(Protocol):
    """The values that an option may take."""

    @property
    def count(self) -> int:
        """The number of values of a grid."""

    def points(self) -> list[Any]:
        """The values of a grid."""

    def draw(self, rng: np.random.Generator) -> Any:
        """A value at random."""

    def suggest(self, trial: Any, name: str) -> Any:
        """The value that a trial of Optuna proposes."""

    def plain(self) -> Any:
        """As a sweep's file gives it."""


@dataclass(frozen=True)
class Choices:
    """Any of these values."""

    values: tuple[Any, ...]

    @property
    def count(self) -> int:
        return len(self.values)

    def points(self) -> list[Any]:
        return list(self.values)

    def draw(self, rng: np.random.Generator) -> Any:
        return self.values[rng.integers(len(self.values))]

    def suggest(self, trial: Any, name: str) -> Any:
        return trial.suggest_categorical(name, self.values)

    def plain(self) -> Any:
        return list(self.values)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included, equally spaced or likely on a linear or logarithmic scale.

    `whole` numbers are integers; `steps` is the number of points of a grid, for integers by default all.
    """

    low: float
    high: float
    scale: str = "linear"
    steps: int | None = None
    whole: bool = False

    @property
    def count(self) -> int:
        return int(self.high) - int(self.low) + 1 if self.steps is None else self.steps

    def points(self) -> list[Any]:
        if self.steps is None:
            return list(range(int(self.low), int(self.high) + 1))
        space = np.geomspace if self.scale == "log" else np.linspace
        return list(dict.fromkeys(self.rounded(float(value)) for value in space(self.low, self.high, self.steps)))

    def draw(self, rng: np.random.Generator) -> Any:
        if self.whole and self.scale == "linear":
            return int(rng.integers(int(self.low), int(self.high) + 1))
        if self.scale == "log":
            return self.rounded(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return self.rounded(float(rng.uniform(self.low, self.high)))

    def suggest(self, trial: Any, name: str) -> Any:
        log = self.scale == "log"
        if self.whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=log)
        return self.rounded(trial.suggest_float(name, self.low, self.high, log=log))

    def rounded(self, value: float) -> Any:
        """A value with few digits, within the range."""
        if self.whole:
            return round(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def plain(self) -> Any:
        given = {"from": self.low, "to": self.high, "scale": self.scale, "steps": self.steps}
        return {key: value for key, value in given.items() if value is not None}


def varied(kind: type[Any], options: dict[str, Any], name: str, given: Any) -> Varied:
    """What an option of a configuration may take, from a list of values or ``{from, to, scale, steps}``.

    Raises
    ------
    ValueError
        For anything else, and for values that the option cannot have.
    """
    wanted = f"vary.{name}={given!r}"

    def typed(value: Any) -> Any:
        return getattr(kind.of({**options, name: value}), name)

    if isinstance(given, list) and given:
        return Choices(tuple(dict.fromkeys(typed(value) for value in given)))
    if not isinstance(given, dict):
        raise ValueError(f"{wanted}: expected a list of values, or {{from: 1, to: 9}}")
    check_known(f"vary.{name}: key", given, ("from", "to", "scale", "steps"))
    (text,) = (str(field.type).removesuffix(" | None") for field in dataclasses.fields(kind) if field.name == name)
    if text not in ("int", "float"):
        raise ValueError(f"{wanted}: {name} is no number: expected a list of values")
    if missing := {"from", "to"} - given.keys():
        raise ValueError(f"{wanted}: expected also {' and '.join(sorted(missing))}")
    low, high = typed(given["from"]), typed(given["to"])
    scale, steps = given.get("scale", "linear"), given.get("steps")
    check_choice(f"vary.{name}.scale", scale, ("linear", "log"))
    if low is None or high is None or not low < high or (scale == "log" and low <= 0):
        raise ValueError(f"{wanted}: expected from < to{' and above 0, on a logarithmic scale' * (scale == 'log')}")
    if steps is not None:
        check_integer(f"vary.{name}.steps", steps, least=2)
    return Range(low, high, scale, steps, text == "int")
