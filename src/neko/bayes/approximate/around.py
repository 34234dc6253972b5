"""A gradient rule around another one."""

from __future__ import annotations

from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.rules.base import GradientRule


class Around(GradientRule):
    """A gradient rule that changes what an `inner` one gets and gives, and has its name and feedback weights."""

    local = False

    def __init__(self, model: Evaluator, inner: GradientRule) -> None:
        super().__init__(model)
        self.inner = inner

    @property
    def name(self) -> str:
        return self.inner.name

    def initial_feedback(self) -> Params:
        return self.inner.initial_feedback()

    def learnt_feedback(self) -> tuple[str, ...]:
        return self.inner.learnt_feedback()

    def decay(self) -> dict[str, float]:
        return self.inner.decay()
