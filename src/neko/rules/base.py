"""What all gradient rules share: from parameters and a batch to a loss and its gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from neko import identity
from neko.evaluator import Evaluator
from neko.identity import representation
from neko.models.network import Params
from neko.objective import Batch, Forward
from neko.registry import Registry

RULES: Registry[type[GradientRule]] = Registry("rule", "neko.rules", required=("oracle",))
"""Gradient rules by name. An entry says which oracle of `neko.verification` it is proven against."""


class Gradient(NamedTuple):
    """What a rule found: the forward pass that it ran, a gradient per parameter, and the carry for the next chunk (of a
    user's module its buffers)."""

    forward: Forward
    gradients: Params
    carry: Any


class GradientRule(ABC):
    """How a batch becomes a gradient; a subclass writes `differentiate`.

    A gradient rule knows no optimizer, no loop and no file. `neko.LearningRule` composes it with an update; samplers
    take it as their drift.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.

    Attributes
    ----------
    local : bool
        Whether the rule reads the cells of a network; other rules also take a user's module.
    streams : bool
        Whether the rule carries its state from one chunk of a sequence to the next.
    has_objective : bool
        Whether what the rule returns follows the gradient of the loss. A rule without a loss, such as STDP, returns a
        pseudo-gradient, and samplers refuse it.
    training : bool
        Whether forward passes are training passes (dropout, batch statistics), where a model knows the difference.

    Raises
    ------
    TypeError
        For a model that is no Evaluator or, of a local rule, has no cells.
    """

    local: ClassVar[bool] = True
    streams: ClassVar[bool] = False
    has_objective: ClassVar[bool] = True

    def __init__(self, model: Evaluator) -> None:
        if not isinstance(model, Evaluator):
            raise TypeError(f"model={model!r}: expected an Evaluator, for example Evaluator(model, loss='mse')")
        if self.local and not model.model.cells:
            raise TypeError(
                f"{type(self).__name__} reads the cells of a network, and {model.model!r} has none: "
                "use BPTT, or a sampler with drift=BPTT"
            )
        self.model = model
        self.xp = model.xp
        self.training = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([repr(self.model), *representation.options(self)])})"

    @property
    def name(self) -> str:
        """What figures and tables call the rule."""
        return type(self).__name__.lower()

    @abstractmethod
    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        """Loss and gradients of a batch, a pure function.

        Parameters
        ----------
        params, feedback : dict of Array
            Parameters of the model, and backward weights of the rule.
        batch : Batch
            Inputs, targets and weights of the steps, time leading.
        carry : object
            None for whole sequences; in a stream what `initial_carry` or the last `Gradient` gave; for a user's module
            its buffers.
        """

    def in_chunks(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int) -> Gradient:
        """As `differentiate`, computed from chunks of `length` steps, of a rule that streams."""
        raise NotImplementedError(f"{type(self).__name__} has no chunks")

    def initial_feedback(self) -> Params:
        """Backward weights of the rule, by name; most rules have none."""
        return {}

    def learnt_feedback(self) -> tuple[str, ...]:
        """Names of the backward weights for which `differentiate` gives gradients, so that the update trains them."""
        return ()

    def decay(self) -> dict[str, float]:
        """Share by which a parameter or backward weight decays after each update, by name."""
        return {}

    def initial_carry(self, size: int) -> Any:
        """The carry before the first step of `size` sequences; of a rule that streams."""
        return None

    def carry_template(self, size: int) -> Any:
        """A carry with the form of those that `differentiate` returns, for one that is read from a file."""
        return self.initial_carry(size)

    def traces(self, params: Params, feedback: Params, batch: Batch) -> list[Any]:
        """Eligibility traces and learning signals over time, per layer, of a rule that has them."""
        raise TypeError(f"{type(self).__name__} has no eligibility traces: expected a three-factor rule such as Eprop")

    def options(self) -> dict[str, Any]:
        """Every option of the rule by value, the defaults too."""
        return identity.options(self)
