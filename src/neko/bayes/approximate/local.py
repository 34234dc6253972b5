"""Local reparametrisation: the exact spike probabilities of one step of a layer with Gaussian weights."""

from __future__ import annotations

from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.bayes.approximate.gaussian import FactorisedGaussian
from neko.cells import LIF
from neko.cells.constants import decay, per_neuron
from neko.cells.learnable import learnt
from neko.evaluator import Evaluator
from neko.models import Model
from neko.models.network import Network, Params
from neko.objective import Batch, Forward, mean_rates, spike_count
from neko.rules.base import Gradient, GradientRule
from neko.typing import Array

TINY = 1e-12
"""Variance that is added to that of a current, in squares of the threshold, so that an input of zeros has a
derivative."""


class Moments(NamedTuple):
    """Probability of a spike (batch, n), and the mean and variance of the outputs (batch, outputs)."""

    spike: Array
    mean: Array
    variance: Array


class LocalReparametrisation(GradientRule):
    r"""The gradient of the expected loss of one step of LIF neurons with independent Gaussian weights.

    The potential of neuron j is normal, and its spike is a Bernoulli variable, independent of those of other neurons:

    .. math::
        p_j = Φ\left( \frac{\sum_i x_i m_{ij} - v_{th} / c}{\sqrt{\sum_i x_i^2 σ_{ij}^2}} \right)

    with the scale c of currents (1, or 1 - α with `input_scaling`); a bias is the weight of an input that is always 1.
    Outputs :math:`y_k = g \sum_j z_j W_{jk} + b_k`, with the readout's gain g, have

    .. math::
        E[y_k] = g \sum_j p_j m_{jk} + m_k, \qquad
        Var[y_k] = g^2 \sum_j \left( p_j (m_{jk}^2 + σ_{jk}^2) - p_j^2 m_{jk}^2 \right) + σ_k^2

    and are drawn from the normal distribution of these moments, once for every example. All is differentiable: there is
    no surrogate, and noise that is not shared by a batch.

    The moments are exact. The form of the distribution is that of many neurons, none of which dominates; the
    correlation between two outputs, :math:`g^2 \sum_j p_j (1 - p_j) m_{jk} m_{jl}`, is left out.

    References
    ----------
    Kingma, Salimans & Welling (2015), arXiv:1506.02557, for local reparametrisation; Wang & Manning (2013), "Fast
    dropout training", ICML, for sums of Bernoulli variables; Peters & Welling (2018), arXiv:1809.03368, for binary
    activations.
    """

    local = False

    def __init__(self, model: Evaluator, method: FactorisedGaussian, key: Array) -> None:
        super().__init__(model)
        self.method = method
        self.network: Network = method.model.network
        self.key = key

    @property
    def name(self) -> str:
        return "local reparametrisation"

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        xp, objective = self.xp, self.model.objective

        def loss(params: Params) -> tuple[Array, Forward]:
            found = moments(xp, self.network, self.method.spread(params), batch.x[0])
            noise = xp.random.normal(xp.random.fold(self.key, batch.number), tuple(found.mean.shape))
            y = xp.expand_dims(found.mean + xp.sqrt(found.variance) * noise, axis=0)
            value = objective.value(xp, y, batch)
            counts = spike_count(xp, xp.expand_dims(found.spike, axis=0), batch.valid)
            return value, Forward(value, objective.pooled(xp, y, batch), mean_rates(xp, (counts,), batch.valid))

        (_, forward), gradients = xp.value_and_grad(loss, has_aux=True)(params)
        return Gradient(forward, gradients, None)


def moments(xp: Backend, network: Network, spread: dict[str, tuple[Array, Array]], x: Array) -> Moments:
    """The moments of a network of one layer in one step from rest, for inputs (batch, n_in)."""
    cell: Any = network.cells[0]
    m, s = spread["layers.0.w_in"]
    c = 1.0 - decay(xp, cell.dt, cell.tau_m) if cell.input_scaling else 1.0
    threshold = per_neuron(xp, cell.v_th) / c
    current, variance = x @ m, xp.square(x) @ xp.square(s) + TINY * threshold * threshold
    if cell.bias:
        m, s = spread["layers.0.b"]
        current, variance = current + m, variance + xp.square(s)
    spike = 0.5 + 0.5 * xp.erf((current - threshold) / xp.sqrt(2.0 * variance))
    (m, s), (bias, of_bias) = spread["readout.w_out"], spread["readout.b_out"]
    squares = xp.square(m)
    of_sum = spike @ (squares + xp.square(s)) - xp.square(spike) @ squares
    gain = network.readout.gain
    return Moments(spike, gain * (spike @ m) + bias, gain**2 * of_sum + xp.square(of_bias))


def refusal(model: Any, steps: set[int]) -> str | None:
    """Why a model with inputs of these numbers of steps has no such moments; None if it has."""
    if not isinstance(model, Model):
        return f"{model!r} is no network of cells"
    cells = model.network.cells
    if len(cells) > 1 or model.bidirectional:
        return f"{model!r} has more than one layer or direction: spikes that share inputs are not independent"
    if type(cells[0]) is not LIF or learnt(cells[0]):
        return f"{cells[0]!r}: expected LIF neurons with constants that do not learn"
    if steps != {1}:
        return f"inputs have {sorted(steps)!r} steps: after the first one the potentials are not normal"
    return None
