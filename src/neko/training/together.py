"""The gradients of several rules at one state, in one program, with what tells how far they can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from neko import tree
from neko.data.intake import Examples
from neko.models.network import Params
from neko.objective import Batch
from neko.rules.forward import shared
from neko.training.activity import Activity, measure
from neko.training.deviations import Changes
from neko.training.learning_rule import LearningRule
from neko.typing import Array


class Found(NamedTuple):
    """What the rules of a comparison give at one state.

    ``gradients`` by rule; ``control`` the gradient of the reference for permuted targets; ``signals`` by rule the root
    mean square of its learning signals by layer; ``activity`` of every layer, and of the outputs.
    """

    gradients: dict[str, Changes]
    control: Changes
    signals: dict[str, dict[str, float]]
    activity: list[Activity]


class Together:
    """Learning rules whose gradients are computed at one state, from the same batch.

    All rules are one program, which a backend that compiles compiles as a whole. In it rules that record the same
    forward pass, such as the three forms of e-prop, share it, its derivatives included, and so does the gradient for
    permuted targets. A rule that differentiates its own forward pass, such as BPTT, shares it with no other; rules
    with different cuts share none either, nor do chunks.

    Parameters
    ----------
    rules : dict of LearningRule
        Each on its own clone of one model.
    reference : str
        Name of the rule whose gradient is also computed for permuted targets.
    """

    def __init__(self, rules: Mapping[str, LearningRule], reference: str) -> None:
        self.rules = dict(rules)
        self.reference = reference
        self.xp = self.rules[reference].xp
        self._objectives: list[Any] = []

    def __call__(self, batch: Examples, number: int) -> Found:
        """The gradients from a batch as before update `number`, which also determines the permutation of targets."""
        xp, rules = self.xp, self.rules
        weights = {name: rule.stored() for name, rule in rules.items()}
        common = weights[self.reference].params
        # The very same arrays are given once, so that rules can share what is computed from them.
        own = {name: w.params for name, w in weights.items() if any(w.params[p] is not a for p, a in common.items())}
        feedback = {name: w.feedback for name, w in weights.items()}
        buffers = {name: rule.model.model.buffers for name, rule in rules.items()}
        order = np.random.default_rng(number).permutation(batch.size)
        with xp.scope():
            given = xp.scalar(float(number)), xp.asarray(order)
        found = self._compiled()(common, own, feedback, buffers, *given, batch.x, batch.y, batch.mask)
        gradients, control, signals, activity = tree.map(lambda a: np.asarray(xp.to_numpy(a)), found)
        return Found(
            gradients,
            control,
            {name: {layer: float(value) for layer, value in of.items()} for name, of in signals.items()},
            [Activity.of(layer, *map(float, sums)) for layer, sums in activity.items()],
        )

    def _compiled(self) -> Any:
        """The program with the present objectives."""
        objectives = [rule.model.objective for rule in self.rules.values()]
        if len(objectives) != len(self._objectives) or any(map(is_other, objectives, self._objectives)):
            self._objectives, self._program = objectives, self.xp.jit(self._all)
        return self._program

    def _all(
        self,
        common: Params,
        own: dict[str, Params],
        feedback: dict[str, Params],
        buffers: dict[str, Any],
        number: Any,
        order: Any,
        *data: Any,
    ) -> tuple[Any, ...]:
        """Gradients by rule, that for permuted targets, learning signals by rule, and the sums of `measure`."""
        model = self.rules[self.reference].model
        batch = model.batch(*data)._replace(number=number)
        permuted = batch._replace(target=self.xp.take(batch.target, order, axis=1))

        def gradient(name: str, batch: Batch) -> tuple[Array, Params]:
            """Outputs, and the gradients of the model's own parameters."""
            pure = self.rules[name].pure
            found = pure.differentiate(own.get(name, common), feedback[name], batch, buffers[name])
            gradients = pure.whole(found.gradients)
            return found.forward.outputs, {parameter: gradients[parameter] for parameter in common}

        with shared() as known:
            # The reference first: what it keeps for its derivative is gone before other rules record theirs.
            outputs, of_reference = gradient(self.reference, batch)
            _, control = gradient(self.reference, permuted)
            others = {name: gradient(name, batch)[1] for name in self.rules if name != self.reference}
            signals = {
                name: rule.gradient.signal_rms(own.get(name, common), feedback[name], batch)
                for name, rule in self.rules.items()
                if rule.chunk is None
            }
            activity = measure(model, common, batch, buffers[self.reference], outputs, known)
        return {self.reference: of_reference, **others}, control, signals, activity


def is_other(a: Any, b: Any) -> bool:
    return a is not b
