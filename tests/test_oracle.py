"""The oracle is held against NumPy: finite differences of frozen networks, and the e-prop of the reference losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from neko.verification.cases import max_relative_error
from neko.verification.form import BrokenError
from neko.verification.reference import unrolled

from oracle import assert_moves, finite_differences, liveness
from reference_tasks import Constants, eprop, forward

TIME, BATCH, N_IN, UNITS, OUT, KAPPA = 6, 2, 2, 3, 2, 0.8
CUTS = [(recurrent, upward) for recurrent in (False, True) for upward in (False, True)]


class GatedState(NamedTuple):
    v: Any
    z: Any


class Gated:
    """A smooth cell with two currents, fed in swapped order by the recurrent weights, a bias and no self-synapses."""

    units, n_currents, input_currents, recurrent_currents, autapses = UNITS, 2, (0, 1), (1, 0), False

    def initial_state(self, xp, batch):
        return GatedState(xp.zeros((batch, UNITS)), xp.zeros((batch, UNITS)))

    def dynamics(self, xp, state, current, gate):
        v = 0.7 * state.v + current * xp.sigmoid(gate)
        return GatedState(v, xp.tanh(v))


def gated_network(seed=0):
    """Weights of two layers, inputs (time, batch, n_in), and the weights of the loss at each step."""
    rng = np.random.default_rng(seed)
    params = {"readout.w_out": rng.standard_normal((UNITS, OUT)), "readout.b_out": rng.standard_normal(OUT)}
    for i, n_in in enumerate((N_IN, UNITS)):
        params[f"layers.{i}.w_in"] = rng.standard_normal((n_in, 2 * UNITS))
        params[f"layers.{i}.w_rec"] = rng.standard_normal((UNITS, 2 * UNITS))
        params[f"layers.{i}.b"] = rng.standard_normal(2 * UNITS)
    return params, rng.standard_normal((TIME, BATCH, N_IN)), rng.standard_normal((TIME, BATCH, OUT))


def run_by_hand(params, x, gain, frozen=None, cut_recurrent=False, cut_upward=False):
    """Outputs and a record (v, z of each layer, f) in NumPy; what is cut is read from the record `frozen`."""
    v, z, f = np.zeros((2, BATCH, UNITS)), np.zeros((2, BATCH, UNITS)), np.zeros((BATCH, OUT))
    outputs, record = [], []
    for t in range(TIME):
        if cut_upward and t:
            v[1], z[1], f = (a.copy() for a in (frozen[t - 1][0][1], frozen[t - 1][1][1], frozen[t - 1][2]))
        back = np.zeros_like(z) if t == 0 else frozen[t - 1][1] if cut_recurrent else z.copy()
        below = x[t]
        for i in range(2):
            w_in, b = params[f"layers.{i}.w_in"], params[f"layers.{i}.b"]
            w_rec = params[f"layers.{i}.w_rec"] * np.tile(1 - np.eye(UNITS), 2)
            current = below @ w_in[:, :UNITS] + b[:UNITS] + back[i] @ w_rec[:, UNITS:]
            gate = below @ w_in[:, UNITS:] + b[UNITS:] + back[i] @ w_rec[:, :UNITS]
            v[i] = 0.7 * v[i] + current / (1 + np.exp(-gate))
            z[i] = below = np.tanh(v[i])
        f = KAPPA * f + gain * z[1] @ params["readout.w_out"]
        outputs.append(f + params["readout.b_out"])
        record.append((v.copy(), z.copy(), f))
    return np.array(outputs), record


def gradients_by_hand(params, x, weights, gain, cut_recurrent, cut_upward):
    """Finite differences; with the upward cut those of the lower layer see an upper layer with a frozen past."""
    record = run_by_hand(params, x, gain)[1]

    def loss(cut_upward):
        def of(some):
            y = run_by_hand(params | some, x, gain, record, cut_recurrent, cut_upward)[0]
            return float((weights * y + 0.5 * y**2).sum())

        return of

    lower = {name: p for name, p in params.items() if name.startswith("layers.0")}
    upper = {name: p for name, p in params.items() if name not in lower}
    return finite_differences(loss(cut_upward), lower) | finite_differences(loss(False), upper)


def gradients_by_oracle(xp, cells, params, x, loss_fn, **options):
    """Loss and gradients as NumPy arrays."""
    x = xp.asarray(x)
    of = xp.value_and_grad(lambda p: loss_fn(unrolled(xp, cells, p, x, **options)[0]))
    value, gradients = of({name: xp.asarray(p) for name, p in params.items()})
    return float(value), {name: xp.to_numpy(g) for name, g in gradients.items()}


@pytest.mark.quick("torch")
@pytest.mark.parametrize("readout_scaling", [False, True])
@pytest.mark.parametrize(("cut_recurrent", "cut_upward"), CUTS)
def test_gradients_of_a_smooth_stack_equal_finite_differences(xp, cut_recurrent, cut_upward, readout_scaling):
    params, x, weights = gated_network()
    gain = 1 - KAPPA if readout_scaling else 1.0
    w = xp.asarray(weights)
    value, found = gradients_by_oracle(
        xp,
        [Gated(), Gated()],
        params,
        x,
        lambda y: xp.sum(w * y + 0.5 * y * y),
        cut_recurrent=cut_recurrent,
        cut_upward=cut_upward,
        kappa=KAPPA,
        gain=gain,
    )
    y = run_by_hand(params, x, gain)[0]
    assert value == pytest.approx(float((weights * y + 0.5 * y**2).sum()), rel=1e-12)
    expected = gradients_by_hand(params, x, weights, gain, cut_recurrent, cut_upward)
    assert max_relative_error(found, expected) < 1e-7
    for other in CUTS:
        if other != (cut_recurrent, cut_upward):
            assert_moves(gradients_by_hand(params, x, weights, gain, *other), expected)


class AdaptiveState(NamedTuple):
    v: Any
    a: Any
    r: Any
    z: Any


@dataclass
class Adaptive:
    """The neuron of the reference set-ups, the reset without a derivative."""

    c: Constants
    units: int
    n_currents, input_currents, recurrent_currents, autapses = 1, (0,), (0,), False

    def initial_state(self, xp, batch):
        return AdaptiveState(*(xp.zeros((batch, self.units)) for _ in range(4)))

    def dynamics(self, xp, state, current):
        c, hold = self.c, xp.stop_gradient
        v = np.exp(-1.0 / c.tau_m).item() * state.v + c.gain * current - c.v_th * hold(state.z)
        a = np.exp(-1.0 / c.tau_a).item() * state.a + state.z
        above = v - c.v_th - xp.asarray(c.beta) * a
        zero = xp.zeros_like(v)
        slope = xp.maximum(1.0 - xp.abs(hold(above)) / c.v_th, zero) * (c.gamma / c.v_th)
        z = xp.where(hold(above) > 0.0, zero + 1.0, zero) + slope * (above - hold(above))
        z = xp.where(state.r > 0.0, zero, z)
        r = xp.clip(state.r + c.refractory * hold(z) - 1.0, 0.0, float(c.refractory))
        return AdaptiveState(v, a, r, z)


def spiking_network(seed=1, time=40, n_in=5, n=8):
    rng = np.random.default_rng(seed)
    beta = np.repeat([0.0, 0.3], n // 2)
    c = Constants(tau_m=10.0, tau_out=8.0, v_th=0.6, gain=1.0, rate_strength=0.0, tau_a=30.0, beta=beta, refractory=3)
    weights = {
        "layers.0.w_in": rng.standard_normal((n_in, n)) / np.sqrt(n_in),
        "layers.0.w_rec": rng.standard_normal((n, n)) / np.sqrt(n),
        "readout.w_out": rng.standard_normal((n, OUT)),
        "readout.b_out": np.zeros(OUT),
    }
    # The diagonal is drawn too: it must not act.
    return c, weights, (rng.random((time, n_in)) < 0.3).astype(float), rng.standard_normal((time, OUT))


@pytest.mark.quick("torch")
def test_the_recurrent_cut_of_a_spiking_layer_is_the_eprop_that_meets_the_published_losses(xp):
    c, weights, x, y = spiking_network()
    no_self = weights | {"layers.0.w_rec": weights["layers.0.w_rec"] * (1 - np.eye(8))}
    liveness(forward(c, no_self, x).z)

    def error_of(outputs):
        return 0.5 * float(((outputs - y) ** 2).sum()), outputs - y

    loss, expected = eprop(c, no_self, no_self["readout.w_out"].T, x, error_of)
    assert all(np.abs(g).max() > 1e-3 for g in expected.values())
    target = xp.asarray(y[:, None])
    kappa = float(np.exp(-1.0 / c.tau_out))

    def gradients(cut_recurrent):
        value, found = gradients_by_oracle(
            xp,
            [Adaptive(c, 8)],
            weights,
            x[:, None],
            lambda out: 0.5 * xp.sum((out - target) * (out - target)),
            cut_recurrent=cut_recurrent,
            kappa=kappa,
            gain=1.0 - kappa,
        )
        return value, {name: found[name] for name in expected}

    value, found = gradients(cut_recurrent=True)
    assert value == pytest.approx(loss, rel=1e-12)
    assert max_relative_error(found, expected) < 1e-12
    assert_moves(gradients(cut_recurrent=False)[1], expected)


def test_the_helpers_refuse_what_would_prove_nothing():
    one = {"w": np.ones(2)}
    assert max_relative_error({"w": np.array([1.0, 3.0])}, {"w": np.array([1.0, 4.0])}) == 0.25
    for broken in ({"w": np.array([1.0, np.nan])}, {"w": np.ones(3)}, {"v": np.ones(2)}):
        with pytest.raises(BrokenError):
            max_relative_error(broken, one)
        with pytest.raises(BrokenError):
            max_relative_error(one, broken)
    with pytest.raises(AssertionError, match="not under test"):
        assert_moves(one, one)
    assert liveness([0.0, 0.0, 0.0, 1.0]) == 0.25
    for spikes in (np.zeros(9), np.ones(9), np.full(9, 0.3)):
        with pytest.raises(AssertionError):
            liveness(spikes)
