"""Feedback alignment: credit through fixed random matrices."""

from __future__ import annotations

from neko.rules.backward import RandomBackwardWeights
from neko.rules.base import RULES


@RULES.register("feedback_alignment", oracle="backward weights")
class FeedbackAlignment(RandomBackwardWeights):
    r"""Backpropagation (through time) in which fixed random matrices B take the place of the weights W backward.

    .. math::
        δ_{l} = (δ_{l+1} B_{l+1}^T) ⊙ f'_l, \qquad \frac{dE}{dW_l} = a_{l-1}^T δ_l

    and through time likewise ``δ_{t-1} += δ_t B_{rec}^T`` in place of ``W_rec^T``. The forward weights come to agree
    with B during training, so that the angle between this gradient and that of backpropagation falls below 90°.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics; a network of cells, or a module of your own of dense and convolutional layers.
    truncation : int, optional
        Number of steps after which credit is cut, as in `neko.rules.BPTT`.
    feedback_seed : int
        Seed of B, whose entries are normal with variance 1 / fan-in.

    Raises
    ------
    TypeError
        For a module with other matrices that credit passes through, such as those of recurrent and attention layers.

    Notes
    -----
    **Locality.** No weight is read backward: each synapse needs its presynaptic activity and its neuron's δ, which
    arrives by fixed connections. In time it is not local: δ runs backward through the whole sequence, as in BPTT.

    **Cost.** O(n^2) time and O(n) memory per step and sequence for a layer of n neurons, as BPTT, with one product more
    per matrix in the forward pass; generated kernels are not used for layers with B.

    **Limits.** The source shows that it learns for feed-forward networks only; deep and convolutional networks learn
    less than by backpropagation (Bartunov et al. 2018), and through time nothing guarantees that W comes to agree with
    B. Credit to an embedding below the first layer passes through a B as well. A frozen layer keeps its W.

    References
    ----------
    Lillicrap et al. (2016), doi:10.1038/ncomms13276; Bartunov et al. (2018), arXiv 1807.04587.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> sorted(neko.FeedbackAlignment(model).gradients(x, y)[1])
    ['layers.0.w_in', 'layers.0.w_rec', 'readout.b_out', 'readout.w_out']
    """
