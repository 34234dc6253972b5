"""e-prop: eligibility propagation."""

from __future__ import annotations

from neko.cells.base import Cell
from neko.rules.base import RULES
from neko.rules.online.three_factor import MODES, ThreeFactor


@RULES.register("eprop", oracle="cut autodiff", modes=MODES)
class Eprop(ThreeFactor):
    r"""e-prop with symmetric, random or adaptive feedback.

    .. math::
        ε_t = A_t ε_{t-1} + b_t ⊗ pre_t, \quad e_t = ε_t^z, \quad ē_t = κ ē_{t-1} + e_t, \quad
        \frac{dE}{dW} = \sum_t L_t ē_t, \quad L_t = B\, err_t

    Every weight has an eligibility trace that depends on its own two neurons only, and every neuron receives one
    learning signal from the readout error. A and b are the derivatives of the cell's step; credit through the
    recurrent weights and through the reset is cut. With symmetric feedback it equals automatic differentiation of the
    network with exactly these cuts. The options are those of `neko.rules.ThreeFactor`.

    Notes
    -----
    **Locality.** A synapse uses the activity of its two neurons and one learning signal per neuron.

    **Cost.** O(n n_pre) time and O(n) memory per step and sequence for a whole sequence, computed backward; in a stream
    O(n n_pre) memory, independent of the number of steps.

    **Limits.** No credit passes from neuron to neuron through time, nor through the past of the layers above.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, eqs. 1-5, 22-28.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.ALIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> sorted(neko.Eprop(model, mode="random").step(x, y))
    ['loss']
    """

    def cut(self, cell: Cell) -> Cell:
        return cell.without_reset()
