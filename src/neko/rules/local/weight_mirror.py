"""Weight mirror: backward weights that learn the forward weights from noise."""

from __future__ import annotations

from typing import Any

from neko.arguments import check_integer, check_number
from neko.models.network import Params
from neko.objective import Batch
from neko.rules.backward import RandomBackwardWeights, named
from neko.rules.base import RULES
from neko.typing import Array


@RULES.register("weight_mirror", oracle="mirrored noise")
class WeightMirror(RandomBackwardWeights):
    r"""Feedback alignment whose B learns W from the correlations of noise across each layer.

    .. math::
        M = \frac{1}{m} \sum_{k=1}^m ξ_k^T (ξ_k W), \quad ξ_k \sim N(0, I), \qquad
        \mathbb{E}[M] = W, \qquad \frac{dE}{dB} = s\, (B - M)

    the gradient of ``s/2 ‖B - M‖²``, by which any update trains B. At every update new noise ξ is sent through each
    matrix. With SGD of rate η and constant W the error of B has the mean ``(1 - η s)^t (B_0 - W)`` and comes to the
    variance ``a / (2 - a) · (‖W_j‖² + W_ij²) / m`` with ``a = η s``, where W_j is the column of the entry's output.
    The source's update ``ΔB = η ξ^T (ξ W) - λ B`` is that of SGD up to the constant factor λ / η between B and W.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics; a network of cells, or a module of your own of dense and convolutional layers.
    truncation : int, optional
        Number of steps after which credit is cut, as in `neko.rules.BPTT`.
    feedback_seed : int
        Seed of the first B, whose entries are normal with variance 1 / fan-in, and of the noise.
    mirror_samples : int
        Number m of noise vectors per update.
    mirror_rate : float
        Factor s of the gradient of B, since W and B are trained by one update with one learning rate.

    Raises
    ------
    TypeError
        For a module with other matrices that credit passes through, such as those of recurrent and attention layers.

    Notes
    -----
    **Locality.** The synapse of B sees the noise of one neuron and the response of the other; no weight is transported.
    In time it is not local: δ runs backward through the whole sequence, as in BPTT.

    **Cost.** O(n^2) time and O(n) memory per step and sequence for a layer of n neurons, as BPTT, with one product more
    per matrix in the forward pass, and O(m n^2) per update for the mirror.

    **Limits.** The response is that of the layer's weights alone: the source keeps its neurons in the linear part of
    their activation for that. A convolution is mirrored at one position, as the matrix from a patch to its outputs.
    Noise does not pass while the layer works: the source alternates both modes, here each update is of both.

    References
    ----------
    Akrout et al. (2019), arXiv 1904.05391.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> sorted(neko.WeightMirror(model, optimizer="sgd", mirror_rate=10.0).step(x, y))
    ['loss']
    """

    def __init__(
        self,
        model: Any,
        *,
        truncation: int | None = None,
        feedback_seed: int = 0,
        mirror_samples: int = 32,
        mirror_rate: float = 1.0,
    ) -> None:
        super().__init__(model, truncation=truncation, feedback_seed=feedback_seed)
        self.mirror_samples = check_integer("mirror_samples", mirror_samples)
        self.mirror_rate = check_number("mirror_rate", mirror_rate, positive=True)

    def learnt_feedback(self) -> tuple[str, ...]:
        return tuple(map(named, self.model.model.asymmetric()))

    def feedback_gradients(self, params: Params, feedback: Params, gradients: Params, batch: Batch) -> Params:
        random, axes = self.xp.random, self.model.model.asymmetric()
        keys = random.split(random.fold(random.key(self.feedback_seed), batch.number), len(axes))
        found = {}
        for i, (name, axis) in enumerate(axes.items()):
            w = self.xp.stop_gradient(params[name])
            found[named(name)] = self.mirror_rate * (feedback[named(name)] - self.mirrored(keys[i], w, axis))
        return found

    def mirrored(self, key: Array, w: Array, axis: int) -> Array:
        """M, an unbiased estimate of W, whose outputs are along the first or the last axis."""
        xp, shape = self.xp, w.shape
        rows = xp.reshape(w, (-1, shape[-1])) if axis else xp.matrix_transpose(xp.reshape(w, (shape[0], -1)))
        noise = xp.random.normal(key, (self.mirror_samples, rows.shape[0]))
        found = xp.matrix_transpose(noise) @ (noise @ rows) / self.mirror_samples
        return xp.reshape(found if axis else xp.matrix_transpose(found), shape)
