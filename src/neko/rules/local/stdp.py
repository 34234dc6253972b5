"""Spike-timing-dependent plasticity."""

from __future__ import annotations

from neko.models.network import Params
from neko.objective import Batch
from neko.rules.base import RULES
from neko.rules.local.spike_timing import SpikeTiming
from neko.typing import Array


@RULES.register("stdp", oracle="spike pairs")
class STDP(SpikeTiming):
    r"""Spike-timing-dependent plasticity, unsupervised, with a readout that learns from the targets.

    Every pair of an arrival at a synapse and a spike of its neuron changes the weight by the lag Δ from arrival to
    spike,

    .. math::
        ΔW = A_+ e^{-Δ/τ_+} \;\; (Δ ≥ 0), \qquad ΔW = -A_- e^{-|Δ|/τ_-} \;\; (Δ < 0),

    summed over all pairs of a sequence and averaged over the batch. With an exponential trace of the arrivals,
    ``x_pre ← x_pre e^{-dt/τ_+} + pre``, and of the spikes, ``x_post ← x_post e^{-dt/τ_-} + post``, a step adds

    .. math::
        s_t = A_+ \, x_{pre,t} ⊗ post_t - A_- \, pre_t ⊗ x_{post,t-1} e^{-dt/τ_-}.

    *Coincidence.* An arrival in the step of a spike (Δ = 0) has acted on the membrane before the threshold, so it
    counts as a cause: the pair adds A_+ in full, and nothing of A_-. *Delay.* An input arrives in its own step, a
    recurrent spike one step after it was emitted, as in the currents of the layer.

    The rule follows no loss. What it returns as the gradient of ``w_in`` and ``w_rec`` is ``-ΔW``, so that the update
    ``W ← W - η g`` adds ``η ΔW``; biases keep their values, and constants that learn are refused. The readout learns by
    the exact gradient of its own weights (with a squared error the delta rule), which reaches no neuron.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics; all its cells spike.
    a_plus, a_minus : float
        Amplitudes A_+ and A_-. The learning rate multiplies them and the readout's gradient alike, so they also set
        how fast neurons learn beside the readout.
    tau_plus, tau_minus : float
        Time constants of the window in ms.
    w_max : float, optional
        Multiplicative bounds: A_+ is multiplied by ``w_max - W`` and A_- by W, which lets weights converge inside
        ``[0, w_max]``. By default the rule is additive and weights have no bounds.

    Raises
    ------
    ValueError
        For a cell that emits rates, a bidirectional network, or amplitudes and time constants out of range.

    Notes
    -----
    **Locality.** Fully local: the spikes of a synapse's two neurons, and one trace of each.

    **Cost.** O(n n_pre) time per step and O(n + n_pre) memory per sequence beside the weights; the traces are those of
    neurons, not of synapses.

    **Limits.** Nothing of a loss enters, so a gradient's checks (a cosine to the exact one) say nothing about its use,
    and samplers refuse it. A penalty on firing rates has no effect. Use an update that is linear in ΔW, such as 'sgd':
    one that normalises each weight's gradient, such as 'adam', keeps little of the window. In additive form all-to-all
    pairs drive weights apart until something else bounds them. Inputs that are no spikes count by their value. A masked
    frame forms no pair; time passes in it, so that traces decay.

    References
    ----------
    Bi & Poo (1998), doi:10.1523/JNEUROSCI.18-24-10464.1998; Song, Miller & Abbott (2000), doi:10.1038/78829 (A_- / A_+
    = 1.05); Morrison, Diesmann & Gerstner (2008), doi:10.1007/s00422-008-0233-1 (traces, all-to-all pairs); van
    Rossum, Bi & Turrigiano (2000), doi:10.1523/JNEUROSCI.20-23-08812.2000 (dependence on the weight).

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> sorted(neko.STDP(model, optimizer="sgd").step(x, y))
    ['loss']
    """

    def modulator(self, feedback: Params, outputs: Array, batch: Batch) -> tuple[Array, Params]:
        return self.xp.ones_like(batch.valid), {}
