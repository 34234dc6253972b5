"""Every gradient rule with an update, under the rule's own name: ``Eprop(model, mode=…, optimizer=…)``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

from neko import rules
from neko.arguments import of_constructor
from neko.identity import representation
from neko.rules.base import GradientRule
from neko.training.learning_rule import LearningRule


class Pair(LearningRule):
    """A gradient rule of the class ``rule`` with an update; options are passed to either by their names."""

    rule: ClassVar[type[GradientRule]]

    def __init_subclass__(cls, **options: Any) -> None:
        """TypeError for a `differentiate` that would never be called."""
        super().__init_subclass__(**options)
        if "differentiate" in vars(cls):
            raise TypeError(
                f"{cls.__name__}.differentiate: a learning rule calls that of its gradient rule; define it in a "
                f"subclass of neko.rules.{cls.rule.__name__}, and train LearningRule({cls.__name__}(model))"
            )

    def __init__(self, model: Any, **options: Any) -> None:
        own, others = (
            {name for name in of_constructor(kind) if name not in ("self", "model", "gradient")}
            for kind in (self.rule, LearningRule)
        )
        for name in options:
            if name not in own | others:
                raise TypeError(f"{self.rule.__name__} has no option {name!r}: expected one of {sorted(own | others)}")
        gradient = self.rule(model, **{name: options.pop(name) for name in own if name in options})
        super().__init__(gradient, **options)

    def __repr__(self) -> str:
        text = [*representation.options(self.gradient), *representation.options(self)]
        return f"{type(self).__name__}({', '.join([repr(self.model), *text])})"


@functools.cache
def pair(rule: type[GradientRule]) -> type[Pair]:
    """The `Pair` of a gradient rule, under the rule's own name."""
    doc = f"{rule.__doc__}\n    The other options are those of `neko.LearningRule`."
    return type(rule.__name__, (Pair,), {"rule": rule, "__doc__": doc, "__module__": __name__})


def resolve(rule: Any) -> Callable[..., LearningRule]:
    """The function that builds a learning rule from an evaluator: of a name (``'bptt'``, ``'eprop:random'``,
    ``'file.py:Name'``), a gradient rule's class, or a function from an evaluator to a gradient rule or a learning
    rule."""
    made = rules.resolve(rule)
    if isinstance(made, functools.partial):
        return functools.partial(resolve(made.func), *made.args, **made.keywords)
    if isinstance(made, type):
        kind: Any = made
        return pair(kind) if issubclass(kind, GradientRule) else kind

    def make(model: Any, **options: Any) -> LearningRule:
        found = made(model, **options)
        return LearningRule(found) if isinstance(found, GradientRule) else found

    return make


def __getattr__(name: str) -> Any:
    """The pair of the rule whose class has this name."""
    if name[:1].isupper():
        return pair(getattr(rules, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
