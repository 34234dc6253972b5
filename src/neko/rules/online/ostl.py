"""Online spatio-temporal learning."""

from __future__ import annotations

from neko.rules.base import RULES
from neko.rules.full import FullInfluence


@RULES.register("ostl", oracle="layer-local autodiff")
class OSTL(FullInfluence):
    r"""Online spatio-temporal learning: exact within a layer, instantaneous between layers.

    .. math::
        M^l_t = J^l_t M^l_{t-1} + b^l_t ⊗ pre_t, \qquad \frac{dE}{dW^l} = \sum_t L^l_t M^l_t, \qquad
        L^l_t = \left( L^{l+1}_t \frac{∂z^{l+1}_t}{∂I^{l+1}_t} \right) W_{in}^{l+1\,T}

    The temporal part of each layer is its full Jacobian J with the recurrent weights; the spatial part passes the error
    of a step down to the layers below within the step. For one layer it equals `BPTT`.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.

    Notes
    -----
    **Locality.** By layer: neither the influence nor its update reads another layer.

    **Cost.** O(n^4) time and O(n^3) memory per step, sequence and layer of n neurons with n inputs each. For a layer
    without recurrent weights `DRTRL` gives the same from traces, with O(n^2).

    **Limits.** No credit passes to a lower layer through the past of the layers above, nor through that of the
    readout's filter.

    References
    ----------
    Bohnstingl, Woźniak, Maass, Pantazi & Eleftheriou (2020), arXiv:2007.12723.
    """

    across = False
