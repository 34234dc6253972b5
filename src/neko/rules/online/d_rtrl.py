"""D-RTRL: real-time recurrent learning with each neuron's own Jacobian."""

from __future__ import annotations

from neko.rules.base import RULES
from neko.rules.online.three_factor import MODES, ThreeFactor


@RULES.register("d_rtrl", oracle="own paths", modes=MODES)
class DRTRL(ThreeFactor):
    r"""Real-time recurrent learning with the diagonal Jacobian of each neuron's own step.

    .. math::
        ε_t = A_t ε_{t-1} + b_t ⊗ pre_t, \qquad \frac{dE}{dW} = \sum_t L_t ē_t

    As `neko.rules.Eprop`, with credit through the reset of the membrane: A_t is the whole derivative of a neuron's step
    by its state before. It equals RTRL where neurons have no recurrent weights. The options are those of
    `neko.rules.ThreeFactor`.

    Notes
    -----
    **Locality.** A synapse uses the activity of its two neurons and one learning signal per neuron.

    **Cost.** O(n n_pre) time and O(n) memory per step and sequence for a whole sequence, computed backward; in a stream
    O(n n_pre) memory, independent of the number of steps.

    **Limits.** No credit passes from neuron to neuron through time, nor through the past of the layers above.

    References
    ----------
    Wang et al. (2026), "Model-agnostic linear-memory online learning in spiking neural networks",
    doi:10.1038/s41467-026-68453-w.
    """
