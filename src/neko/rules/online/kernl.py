"""KeRNL: kernel learning for recurrent networks."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from neko.arguments import check_integer, check_number
from neko.backend import parts
from neko.cells.base import Cell
from neko.models.network import NetworkState, Params, layer_params
from neko.objective import Batch
from neko.rules import eligibility
from neko.rules.base import RULES
from neko.rules.chunking import Chunk
from neko.rules.forward import Recorded
from neko.rules.jacobian import fields
from neko.rules.observed import LayerTraces, observed
from neko.rules.online.perturbed import Perturbed, decaying, prediction_error
from neko.rules.online.three_factor import MODES, ThreeFactor
from neko.rules.signals import LearningSignal, Product
from neko.rules.tangent import build_weights
from neko.typing import Array

SENSITIVITY, LOG_TAU = "kernel.sensitivity", "kernel.log_tau"
LONGEST = 20.0
"""Largest magnitude of log τ that has an effect."""


class Carry(NamedTuple):
    """As `neko.rules.chunking.Carry`; also the state of the perturbed network, None where the kernel does not learn."""

    state: NetworkState
    traces: Any
    filtered: tuple[Array, ...]
    perturbed: Perturbed | None


@RULES.register("kernl", oracle="kernel", modes=MODES)
class KeRNL(ThreeFactor):
    r"""Kernel RNN learning: the influence of one neuron on another by a learnt sensitivity and a learnt decay.

    The influence of neuron *j* at step *s* on neuron *k* at step *t* is approximated by ``A_jk γ_j^{t-s}``. Every
    synapse has a trace with the decay of its neuron, and the error reaches the neuron through A:

    .. math::
        e_t = γ e_{t-1} + b_t ⊗ pre_t, \qquad \frac{dE}{dW} = \sum_t (L_t A^T)\, ē_t, \qquad
        ē_t = κ ē_{t-1} + e_t

    with ``b_t = ∂z_t/∂I_t``, the derivative of the emission by the neuron's own current, which the cell's step
    defines, and ``L_t = B err_t`` as in `neko.rules.Eprop`. The kernel learns to predict what noise ξ in the currents
    does to the emissions,

    .. math::
        Ω_t = γ Ω_{t-1} + b_t ξ_t, \qquad R = \sum_t \tfrac12 ‖Ω_t A - δz_t‖^2,

    by the gradient of R with respect to A and, through ``∂Ω_t/∂γ = γ ∂Ω_{t-1}/∂γ + Ω_{t-1}``, to log τ, where
    ``γ = exp(-dt/τ)``; it is summed over steps and averaged over the batch. δz is the response of the network to
    infinitesimal noise, with the derivatives of its steps: the size of the noise cancels, and a network of spikes has a
    response through its surrogate.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics, of one layer. The regularizer acts on a neuron's own trace, without A.
    learn_kernel : bool
        Learn A and τ; otherwise they stay as they are.
    kernel_rate : float
        Factor of the kernel's learning rate, which is one per frame, beside that of the weights.
    tau_kernel : float
        First time constant τ in ms of every neuron's kernel; A begins as the identity.
    seed : int
        Seed of the noise, which is new at every update.
    mode, stepwise, feedback_decay, feedback_seed
        As in `neko.rules.Eprop`.

    Raises
    ------
    ValueError
        For a stack, or a bidirectional network: A relates neurons of one layer in one order of time.

    Notes
    -----
    In Roth et al. the noise is added to the hidden unit; here it is added to the current, as all weights act there. Of
    a unit whose emission is its whole state (`neko.cells.RNN`) the two differ by the factor b. With A = 1 and γ the
    leak of a rate unit the rule is RFLO with feedback B.

    **Locality.** A synapse uses its own trace and one signal per neuron, which n² sensitivities bring from the others;
    they learn by the activity of their two neurons in a perturbed and an unperturbed network.

    **Cost.** O(n n_pre + n²) time per step and sequence, and memory O(n n_pre) in a stream.

    **Limits.** One decay per neuron, and a rank-one kernel in time: influences that rise and fall, or return, are not
    represented, and any path through two neurons only by its mean over the sequence. The perturbed network runs beside
    the other, which no single network does. The kernel lags behind weights that change fast.

    References
    ----------
    Roth, Kanitscheider & Fiete (2019), "Kernel RNN learning (KeRNL)", ICLR, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> rule = neko.KeRNL(model)
    >>> sorted(rule.step(x, y)), sorted(rule.feedback)
    (['loss'], ['kernel.log_tau', 'kernel.sensitivity'])
    """

    def __init__(
        self,
        model: Any,
        *,
        learn_kernel: bool = True,
        kernel_rate: float = 0.01,
        tau_kernel: float = 2.0,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(model, **options)
        if len(model.network.cells) > 1 or model.model.bidirectional:
            raise ValueError(
                f"KeRNL learns how the neurons of one layer act on each other in one order of time: expected one layer "
                f"and one direction, not {model.model!r}"
            )
        self.learn_kernel = bool(learn_kernel)
        self.kernel_rate = check_number("kernel_rate", kernel_rate)
        self.tau_kernel = check_number("tau_kernel", tau_kernel, positive=True)
        self.seed = check_integer("seed", seed, least=0)

    @property
    def in_time(self) -> bool:
        return True

    def initial_feedback(self) -> Params:
        xp, n = self.xp, self.model.network.cells[0].units
        kernel = {SENSITIVITY: xp.eye(n), LOG_TAU: xp.full((n,), math.log(self.tau_kernel))}
        return {**super().initial_feedback(), **kernel}

    def learnt_feedback(self) -> tuple[str, ...]:
        return (*super().learnt_feedback(), *((SENSITIVITY, LOG_TAU) if self.learn_kernel else ()))

    def learning_signals(
        self, params: Params, feedback: Params, batch: Batch, recorded: Recorded
    ) -> list[LearningSignal]:
        (given,) = super().learning_signals(params, feedback, batch, recorded)
        back = self.xp.matrix_transpose(feedback[SENSITIVITY])
        now, later = (Product(self.xp.matmul, signal, back) for signal in (given.signal, given.future))
        return [LearningSignal(now, later, given.valid, given.per_sequence, given.kappa)]

    def chunk(self, params: Params, feedback: Params, batch: Batch, carry: Any, keep: bool) -> tuple[Chunk, Any]:
        xp, (cell,), perturbed = self.xp, self.model.network.cells, carry.perturbed
        state, recorded = self.record(params, batch, carry.state)
        by_kernel = self.by_kernel(feedback, recorded)
        chunk, later = self.contribution(params, feedback, batch, carry, keep, by_kernel)
        if perturbed is not None:
            weights = build_weights(xp, cell, layer_params(params, 0))
            key = xp.random.fold(xp.random.key(self.seed), batch.number)
            leak, rate = self.leak(feedback), self.kernel_rate / parts.average(batch.x.shape[1])
            kernel, way = (feedback[SENSITIVITY], xp.exp(-leak)), recorded.jacobians[0]
            (of_a, of_decay), perturbed = prediction_error(xp, weights, way, batch.valid, kernel, key, perturbed)
            found = {SENSITIVITY: rate * of_a, LOG_TAU: rate * (leak * kernel[1] * of_decay)}
            chunk = chunk._replace(gradients=chunk.gradients | found)
        return chunk, Carry(state, later.traces, later.filtered, perturbed)

    def leak(self, feedback: Params) -> Array:
        """``dt / τ`` of every neuron's kernel."""
        xp = self.xp
        return self.model.network.readout.dt * xp.exp(-xp.clip(feedback[LOG_TAU], -LONGEST, LONGEST))

    def by_kernel(self, feedback: Params, recorded: Recorded) -> Recorded:
        """A recorded pass in which a neuron depends on its own past by the decay of the kernel alone."""
        decay = self.xp.exp(-self.leak(feedback))
        return recorded._replace(jacobians=(decaying(self.xp, recorded.jacobians[0], decay),))

    def initial_carry(self, size: int) -> Any:
        xp, (cell,), rule = self.xp, self.model.network.cells, super().initial_carry(size)
        still = xp.zeros((size, cell.units))
        changes = tuple(still for _ in fields(cell.initial_state(xp, size)))
        return Carry(*rule, Perturbed(changes, still, still, xp.zeros(())) if self.learn_kernel else None)

    def initial_traces(self, jacobians: Any, pre: tuple[Array, ...], cell: Cell, kappa: float) -> Any:
        kept = decaying(self.xp, jacobians, self.xp.exp(-self.leak(self.initial_feedback())))
        return eligibility.initial_traces(self.xp, kept, pre, cell.units, kappa)

    def traces(self, params: Params, feedback: Params, batch: Batch) -> list[LayerTraces]:
        ((_, own, recorded),) = self.record_directions(params, batch)
        signals = self.learning_signals(params, feedback, own, recorded)
        return observed(self.xp, self.model, own, self.by_kernel(feedback, recorded), signals)
