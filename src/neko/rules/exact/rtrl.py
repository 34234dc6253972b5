"""Real-time recurrent learning, exact."""

from __future__ import annotations

from neko.rules.base import RULES
from neko.rules.full import FullInfluence


@RULES.register("rtrl", oracle="bptt")
class RTRL(FullInfluence):
    r"""Exact forward-mode gradients: the influence of every weight on every state, at every step.

    .. math::
        M_t = J_t M_{t-1} + \frac{∂h_t}{∂W}, \qquad \frac{dE}{dW} = \sum_t q_t M_t

    J_t includes all paths: the neuron's own state, the recurrent weights, the layers below. It equals `BPTT` to
    rounding; in a stream, where `BPTT` ends its credit at each chunk, it gives all of it.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.

    Notes
    -----
    **Locality.** None: every neuron keeps the influence of every weight of the network.

    **Cost.** O(n^4) time and O(n^3) memory per step and sequence, for n neurons in all with n inputs each.

    **Limits.** A reference for small networks, not a method to train large ones.

    References
    ----------
    Williams & Zipser (1989), doi:10.1162/neco.1989.1.2.270.
    """
