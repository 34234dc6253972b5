"""What rules with local traces are by theory: where they are exact, where they must not be, what they depend on."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import neko
from neko import rules
from neko.rules import signals
from neko.verification.cases import gradients, made, max_relative_error

from oracle import assert_live, assert_moves

EXACT = 1e-10
BATCH, TIME, N_IN, OUT = 3, 20, 4, 2
TRACES = ["eprop", "d_rtrl", "snap", "rflo:symmetric", "sltt", "ottt"]
"""Rules that leave out credit through time, with the readout's own weights as feedback."""


def case(xp, cells, tau_out=7.0, time=TIME, scale=4.0, **options):
    """An evaluator with data for which its network is alive, with padded frames."""
    model = neko.Model(cells, OUT, xp, tau_out=tau_out, seed=1).build(N_IN)
    evaluator = neko.Evaluator(model, loss="mse", **options)
    rng = np.random.default_rng(0)
    x, y = scale * rng.standard_normal((BATCH, time, N_IN)), rng.standard_normal((BATCH, time, OUT))
    mask = np.ones((BATCH, time))
    mask[1, 2 * time // 3 :] = 0.0
    return evaluator, (x, y, mask) if time > 1 else (x, y, None)


def found(name, evaluator, data, **options):
    return gradients(made(neko.training.pairs.resolve(name), evaluator, **options), data)


def hidden(arrays):
    return {name: g for name, g in arrays.items() if not name.startswith("readout")}


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", TRACES)
def test_for_one_step_a_rule_is_backpropagation_and_for_several_it_is_not(xp, name):
    """Without a reset before the first step nothing is left out of it."""
    evaluator, data = case(xp, neko.cells.ALIF(6), time=1, scale=8.0)
    params = evaluator.params
    drive = np.asarray(xp.to_numpy(xp.asarray(data[0][:, 0]) @ params["layers.0.w_in"]))
    assert (np.abs(drive - 1.0) < 1.0).any(), "a neuron near its threshold"
    exact = found("bptt", evaluator, data)
    assert np.abs(exact["layers.0.w_in"]).max() > 1e-6
    assert max_relative_error(found(name, evaluator, data), exact) < EXACT

    evaluator, data = case(xp, neko.cells.ALIF(6))
    exact = found("bptt", evaluator, data)
    assert_live(evaluator, data[0], exact, xp)
    assert_moves(hidden(found(name, evaluator, data)), hidden(exact))


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", ["d_rtrl", "snap"])
def test_without_recurrent_weights_each_neurons_own_jacobian_is_all(xp, name):
    """RTRL exactly; e-prop leaves the reset out even then."""
    evaluator, data = case(xp, neko.cells.ALIF(6, recurrent=False))
    exact = found("rtrl", evaluator, data)
    assert_live(evaluator, data[0], exact, xp)
    assert max_relative_error(found(name, evaluator, data), exact) < EXACT
    assert_moves(hidden(found("eprop", evaluator, data)), hidden(exact))


@pytest.mark.quick("torch")
def test_snap_sees_the_connection_of_a_neuron_to_itself(xp):
    """With a diagonal ``w_rec`` it is RTRL; D-RTRL, which leaves out ``w_rec``, is not. With a full one neither is."""
    evaluator, data = case(xp, neko.cells.GRU(5), scale=1.0)
    full = found("rtrl", evaluator, data)
    assert_moves(hidden(found("snap", evaluator, data)), hidden(full))

    loops = np.concatenate([np.diag([0.9, -0.7, 0.5, 0.8, -0.6])] * 3, axis=1)
    evaluator.params = {**evaluator.params, "layers.0.w_rec": xp.asarray(loops)}
    exact = found("rtrl", evaluator, data)

    def on_diagonal(g):
        rows = {name: a for name, a in g.items() if name != "layers.0.w_rec"}
        return rows | {"layers.0.w_rec": g["layers.0.w_rec"] * (loops != 0.0)}

    assert max_relative_error(on_diagonal(found("snap", evaluator, data)), on_diagonal(exact)) < EXACT
    assert_moves(hidden(found("d_rtrl", evaluator, data)), hidden(exact))


@pytest.mark.quick("torch")
def test_ottt_is_exact_for_one_feed_forward_layer_and_not_for_two(xp):
    """LIF without credit through its reset, and a readout without memory (Xiao et al. 2022, theorem 1)."""
    layer = functools.partial(neko.cells.LIF, recurrent=False, detach_reset=True)
    evaluator, data = case(xp, layer(6), tau_out=None)
    exact = found("bptt", evaluator, data)
    assert_live(evaluator, data[0], exact, xp)
    assert max_relative_error(found("ottt", evaluator, data), exact) < EXACT
    assert_moves(hidden(found("sltt", evaluator, data)), hidden(exact))

    evaluator, data = case(xp, [layer(6), layer(5, v_th=0.4)], tau_out=None)
    exact = found("bptt", evaluator, data)
    assert_live(evaluator, data[0], exact, xp)
    of_first = {"layers.0.w_in": exact["layers.0.w_in"]}
    assert_moves({"layers.0.w_in": found("ottt", evaluator, data)["layers.0.w_in"]}, of_first)


@pytest.mark.parametrize(
    "cell",
    [neko.cells.GRU(4), neko.cells.LSTM(4), neko.cells.LIF(4, tau_m=[5.0, 6.0, 7.0, 8.0]), neko.cells.Dendritic(4)],
)
def test_ottt_refuses_a_cell_without_one_leak(cell):
    evaluator, _ = case(neko.backend.get(neko.backend.default()), cell)
    with pytest.raises(ValueError, match="has no leak that is one number"):
        neko.OTTT(evaluator)


@pytest.mark.quick("torch")
def test_a_stream_of_ottt_carries_a_trace_of_each_presynaptic_neuron(xp):
    """O(n) memory: no array per synapse."""
    evaluator, data = case(xp, neko.cells.LIF(6))
    rule = neko.OTTT(evaluator, optimizer="sgd", learning_rate=0.0, stream=True, jit=False)
    rule.step(data[0], data[1])
    (traces,) = rule._stream.carry.traces
    assert [tuple(trace.shape) for trace in traces] == [(BATCH, N_IN + 6)]


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", [*TRACES, "decolle", "rflo:random"])
def test_a_stream_in_pieces_sums_to_the_whole(xp, name):
    """Fed in pieces of one, three and all steps; the loss is the sum over steps."""
    evaluator, (x, y, _) = case(xp, [neko.cells.ALIF(6), neko.cells.LIF(4, v_th=0.4)], reduction="sum")
    whole = found(name, evaluator, (x, y, None))
    assert_live(evaluator, x, whole, xp)
    rule = made(neko.training.pairs.resolve(name), evaluator)
    rule.start(x)
    for length in (1, 3, TIME):
        carry, total = rule.gradient.initial_carry(BATCH), dict.fromkeys(whole, 0.0)
        for begin in range(0, TIME, length):
            piece = (xp.asarray(a[:, begin : begin + length]) for a in (x, y))
            batch = evaluator.batch(*piece, None)
            result = rule.gradient.differentiate(evaluator.params, rule.feedback, batch, carry)
            carry = result.carry
            total = {key: total[key] + np.asarray(xp.to_numpy(result.gradients[key])) for key in total}
        assert max_relative_error(total, whole) < EXACT


@pytest.mark.quick("torch")
def test_decolle_does_not_depend_on_the_layers_above(xp):
    evaluator, data = case(xp, [neko.cells.LIF(6), neko.cells.LIF(5, v_th=0.4)])
    before = found("decolle", evaluator, data)
    assert_live(evaluator, data[0], before, xp)
    moved = {name: -1.5 * p if name.startswith(("layers.1", "readout")) else p for name, p in evaluator.params.items()}
    evaluator.params = moved
    after = found("decolle", evaluator, data)
    for name in ("layers.0.w_in", "layers.0.w_rec"):
        np.testing.assert_array_equal(after[name], before[name])
    assert_moves({"layers.1.w_in": after["layers.1.w_in"]}, {"layers.1.w_in": before["layers.1.w_in"]})
    # The control: with symmetric feedback the lower layer hears of the layers above.
    evaluator.params = moved
    other = found("eprop", evaluator, data)
    assert_moves({"layers.0.w_in": other["layers.0.w_in"]}, {"layers.0.w_in": before["layers.0.w_in"]})


@pytest.mark.quick("torch")
def test_rflo_is_rtrl_with_the_leak_in_place_of_the_jacobian(xp):
    """A leaky rate network in NumPy, ``v_t = λ v_{t-1} + I_t``, with traces ``λ e + pre`` (Murray 2019, eq. 5)."""

    class Leaky(neko.cells.Cell):
        State = neko.cells.LIF.State
        autapses = False

        def dynamics(self, xp, state, current):
            v = 0.8 * state.v + current
            return self.State(v, None, xp.tanh(v))

        def initial_state(self, xp, batch):
            return super().initial_state(xp, batch)._replace(r=None)

    evaluator, (x, y, mask) = case(xp, Leaky(5), scale=1.0)
    rule = made(neko.training.pairs.resolve("rflo"), evaluator)
    g = gradients(rule, (x, y, mask))
    p = {name: np.asarray(xp.to_numpy(a)) for name, a in evaluator.params.items()}
    b, readout = np.asarray(xp.to_numpy(rule.feedback["feedback.0"])), evaluator.network.readout
    w_rec = p["layers.0.w_rec"] * (1.0 - np.eye(5))
    v, z, f, trace, smooth = np.zeros((BATCH, 5)), np.zeros((BATCH, 5)), 0.0, np.zeros((BATCH, N_IN + 5)), 0.0
    expected, weight = 0.0, mask / mask.sum()
    for t in range(TIME):
        pre = np.concatenate([x[:, t], z], axis=1)
        v = 0.8 * v + x[:, t] @ p["layers.0.w_in"] + z @ w_rec
        z = np.tanh(v)
        f = readout.kappa * f + readout.gain * z @ p["readout.w_out"]
        error = 2.0 / OUT * (f + p["readout.b_out"] - y[:, t]) * weight[:, t, None]
        trace = 0.8 * trace + pre
        smooth = readout.kappa * smooth + trace[:, :, None] * (1.0 - z**2)[:, None]
        expected = expected + np.einsum("bn,bpn->pn", readout.gain * error @ b, smooth)
    assert max_relative_error({"w": g["layers.0.w_in"]}, {"w": expected[:N_IN]}) < EXACT
    assert max_relative_error({"w": g["layers.0.w_rec"]}, {"w": expected[N_IN:] * (1.0 - np.eye(5))}) < EXACT


@pytest.mark.parametrize("name", ["eprop", "rflo", "sltt", "d_rtrl", "snap", "ottt"])
def test_random_feedback_has_the_size_of_symmetric_feedback(name):
    """Root mean squares of learning signals within a factor of 3.5, so that no arm of a comparison is muted."""
    xp = neko.backend.get(neko.backend.default(), dtype="float64")
    with xp.scope():
        evaluator, data = case(xp, neko.cells.LIF(40), scale=3.0)
        batch = evaluator.batch(*(xp.asarray(a) for a in data))
        sizes = {}
        for mode in ("symmetric", "random"):
            rule = rules.RULES[name](evaluator, mode=mode)
            sizes[mode] = float(
                xp.to_numpy(signals.by_layer(rule, evaluator.params, rule.initial_feedback(), batch)["layers.0"])
            )
    assert 1.0 / 3.5 < sizes["random"] / sizes["symmetric"] < 3.5
