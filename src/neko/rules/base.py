"""The interface of gradient rules: from parameters and a batch to a loss and its gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from neko import identity
from neko.cells.learnable import learnt
from neko.evaluator import Evaluator
from neko.identity import representation
from neko.models.network import Params
from neko.objective import Batch, Forward
from neko.registry import Registry

RULES: Registry[type[GradientRule]] = Registry("rule", "neko.rules", required=("oracle",))
"""Gradient rules by name. Each entry names the oracle of `neko.verification` that verifies it numerically."""


class Gradient(NamedTuple):
    """The forward pass of a rule, a gradient per parameter, and the next carry (of a user's module its buffers).

    ``report`` is what a rule says of itself beside loss and metrics, (total, weight) by name.
    """

    forward: Forward
    gradients: Params
    carry: Any
    report: Any = None


class GradientRule(ABC):
    """Computes a gradient from a batch; a subclass defines `differentiate`.

    A gradient rule does not depend on optimizers, the training loop or files. `neko.LearningRule` composes it with an
    update; samplers use it as their drift.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.

    Attributes
    ----------
    local : bool
        Whether the rule needs the cells of a network; other rules also accept a user's module.
    streams : bool
        Whether the rule carries its state from one chunk of a sequence to the next.
    truncates : bool
        Whether chunks cut credit, so that the gradient depends on their length; for rules that stream.
    has_objective : bool
        Whether the returned gradient follows that of the loss. A rule without a loss, such as STDP, returns a
        pseudo-gradient, and samplers refuse it.
    learns_constants : bool
        Whether the gradient includes that of the constants of cells that learn; a rule for weights alone refuses them.
    training : bool
        Whether forward passes are training passes (dropout, batch statistics), where a model distinguishes them.

    Raises
    ------
    TypeError
        If `model` is not an Evaluator or, for a local rule, has no cells; for a `neko.Learnable` constant and a rule
        for weights alone.
    """

    local: ClassVar[bool] = True
    streams: ClassVar[bool] = False
    truncates: ClassVar[bool] = False
    has_objective: ClassVar[bool] = True
    learns_constants: ClassVar[bool] = True

    def __init__(self, model: Evaluator) -> None:
        if not isinstance(model, Evaluator):
            raise TypeError(f"model={model!r}: expected an Evaluator, for example Evaluator(model, loss='mse')")
        if self.local and not model.model.cells:
            raise TypeError(
                f"{type(self).__name__} reads the cells of a network, and {model.model!r} has none: "
                "use BPTT, or a sampler with drift=BPTT"
            )
        learning = [name for cell in model.model.cells for name in learnt(cell)]
        if learning and not self.learns_constants:
            raise TypeError(
                f"{type(self).__name__} changes weights only, and {model.model!r} has constants that learn, "
                f"{learning}: give them as numbers"
            )
        self.model = model
        self.xp = model.xp
        self.training = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([repr(self.model), *representation.options(self)])})"

    @property
    def name(self) -> str:
        """The rule's name in figures and tables: that of the registry or, of an own rule, of its class."""
        return next((name for name, rule in RULES.items() if rule is type(self)), type(self).__name__.lower())

    @abstractmethod
    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        """Loss and gradients of a batch, a pure function.

        Parameters
        ----------
        params, feedback : dict of Array
            Parameters of the model, and feedback weights of the rule.
        batch : Batch
            Inputs, targets and weights of the steps, time leading.
        carry : object
            None for whole sequences; in a stream the carry of `initial_carry` or the last `Gradient`; the buffers of a
            user's module.
        """

    def in_chunks(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int) -> Gradient:
        """As `differentiate`, in chunks of `length` steps; for rules that stream."""
        raise NotImplementedError(f"{type(self).__name__} has no chunks")

    def check_chunks(self) -> None:
        """ValueError for a network that reads a sequence from its end too, and thus never in pieces from its start."""
        if self.model.model.bidirectional:
            raise ValueError(
                f"{self.model.model!r} reads each sequence from its end too: expected whole sequences, without "
                "chunk, stepwise, online, stream or truncation"
            )

    def initial_feedback(self) -> Params:
        """Feedback weights of the rule, by name; most rules have none."""
        return {}

    def learnt_feedback(self) -> tuple[str, ...]:
        """Names of the feedback weights for which `differentiate` returns gradients, so that the update trains them."""
        return ()

    def decay(self) -> dict[str, float]:
        """Fraction by which a parameter or feedback weight decays after each update, by name."""
        return {}

    def initial_carry(self, size: int) -> Any:
        """The carry before the first step of `size` sequences; for rules that stream."""
        return None

    def carry_template(self, size: int) -> Any:
        """A carry of the structure that `differentiate` returns, as a template for loading."""
        return self.initial_carry(size)

    def traces(self, params: Params, feedback: Params, batch: Batch) -> list[Any]:
        """Eligibility traces and learning signals over time, per layer, of a rule that has them."""
        raise TypeError(f"{type(self).__name__} has no eligibility traces: expected a three-factor rule such as Eprop")

    def signal_rms(self, params: Params, feedback: Params, batch: Batch) -> Params:
        """Root mean square of the learning signals of each layer over valid frames and neurons, a scalar by the name of
        the layer, such as ``layers.0``; none of a rule without learning signals."""
        return {}

    def options(self) -> dict[str, Any]:
        """Every option of the rule by value, the defaults too."""
        return identity.options(self)
