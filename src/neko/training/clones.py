"""Several rules, each on a clone of the same model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from neko.arguments import as_list
from neko.evaluator import Evaluator
from neko.rules.base import GradientRule
from neko.training.learning_rule import LearningRule
from neko.training.pairs import resolve


def clones(model: Evaluator, rules: Iterable[Any] | Mapping[str, Any]) -> dict[str, LearningRule]:
    """Each rule on a clone of the model, by its own name or the key of a mapping."""
    example = "['bptt', 'eprop:random'], or a dict with names of your own"
    named = isinstance(rules, Mapping)
    given = list(rules.values()) if isinstance(rules, Mapping) else as_list("rules", rules, example)
    for rule in given:
        if isinstance(rule, LearningRule | GradientRule):
            raise TypeError(f"rule {rule!r}: expected its name or class, since each rule gets a clone of the model")
    made = [resolve(rule)(model.clone()) for rule in given]
    names = [check_name(name) for name in rules] if named else list(map(name_of, given, made))
    if not names or len(set(names)) != len(names):
        raise ValueError(
            f"rules {names!r}: expected one or more with different names; name variants of one rule yourself: "
            "{'long': …, 'short': …}"
        )
    return dict(zip(names, made, strict=True))


def name_of(given: Any, made: LearningRule) -> str:
    """What a rule is called: a name with options, as ``'snap(level=2)'``, as it is given, and else its own name."""
    return given if isinstance(given, str) and given.endswith(")") else made.name


def check_name(name: Any) -> str:
    """The name of a rule; TypeError unless it is a string that is not empty."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"name of a rule {name!r}: expected a string such as 'short'")
    return name


def share_feedback(rules: list[LearningRule], x: Any) -> None:
    """Copy the feedback weights of the first rule of each form of feedback to the others of the same form."""
    for rule in rules:
        rule.start(x)
    for rule in rules:
        first = next(other for other in rules if feedback_form(other) == feedback_form(rule))
        rule.feedback = dict(first.feedback)


def feedback_form(rule: LearningRule) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the feedback weights."""
    return {name: tuple(b.shape) for name, b in rule.feedback.items()}
