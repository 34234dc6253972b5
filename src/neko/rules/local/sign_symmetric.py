"""Sign-symmetric feedback: credit through the signs of the weights."""

from __future__ import annotations

from neko.models.network import Params
from neko.rules.backward import BackwardWeights
from neko.rules.base import RULES


@RULES.register("sign_symmetric", oracle="signs of weights")
class SignSymmetric(BackwardWeights):
    r"""Backpropagation (through time) in which the signs of the weights take their place backward.

    .. math::
        B = \operatorname{sign}(W)\; \overline{|W|}, \qquad δ_{l} = (δ_{l+1} B_{l+1}^T) ⊙ f'_l

    with the mean magnitude of the entries of W, so that credit keeps its size. The source's uniform sign-concordant
    feedback is ``sign(W)`` alone, whose scale its batch normalisation and normalised updates take away; the direction
    of the gradient of each layer is the same in a chain of layers.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics; a network of cells, or a module of your own of dense and convolutional layers.
    truncation : int, optional
        Number of steps after which credit is cut, as in `neko.rules.BPTT`.

    Raises
    ------
    TypeError
        For a module with other matrices that credit passes through, such as those of recurrent and attention layers.

    Notes
    -----
    **Locality.** Of a weight only the sign, one bit, and one number per matrix are read backward. In time it is not
    local: δ runs backward through the whole sequence, as in BPTT.

    **Cost.** O(n^2) time and O(n) memory per step and sequence for a layer of n neurons, as BPTT, with one product more
    per matrix in the forward pass; generated kernels are not used for layers with B.

    **Limits.** A weight of exactly zero passes no credit. Through time, the scale of B_rec has no part in the
    stability of the forward pass: B of equal entries may have a larger spectral radius than W. A frozen layer keeps
    its W.

    References
    ----------
    Liao, Leibo & Poggio (2016), arXiv 1510.05067; Xiao et al. (2018), arXiv 1811.03567.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> sorted(neko.SignSymmetric(model, optimizer="sgd").step(x, y))
    ['loss']
    """

    def backward(self, params: Params, feedback: Params) -> Params:
        xp, names = self.xp, [name for name in self.model.model.asymmetric() if name in params]
        return {name: xp.sign(params[name]) * xp.mean(xp.abs(params[name])) for name in names}
