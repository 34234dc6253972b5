"""Every gradient rule against an independent truth, for every cell of the registry, on every backend."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import neko
from neko.cells import CELLS
from neko.models.layer import layer_step, layer_weights
from neko.models.network import layer_params
from neko.rules.jacobian import step_jacobians
from neko.rules.reverse import layer_blocks
from neko.rules.synapses import presynaptic, weight_gradients
from neko.verification import ORACLES
from neko.verification.cases import Case, gradients, made, max_relative_error, relative_error
from neko.verification.form import check_columns

from oracle import assert_live

TIME, BATCH, N_IN, UNITS, OUT = 13, 3, 4, 6, 2
EXACT = 1e-12
CONTROL = 1e-3  # what a knob must move the numbers by, to count as tested
# Per-neuron constants, a refractory period and both resets are part of the proof.
VARIANTS = {
    **{name: {} for name in CELLS},
    "adex": {"resistance": 200.0},
    "cuba_lif": {"v_th": 5.0},
    "lif zero reset": {"reset": "zero", "t_ref": 3.0, "input_scaling": True, "v_th": 0.15},
    "lif feedforward": {"recurrent": False},
    "alif mixed": {"beta": [0.0] * 3 + [0.4] * 3, "tau_m": [5.0, 10.0, 20.0] * 2, "t_ref": 2.0},
}
ALL = sorted(VARIANTS)
# Six sparse neurons are an unsteady input: the upper layer's weights are scaled so that it stays alive.
UPPER = {"lif": 0.8, "alif": 0.8, "dendritic": 0.5, "lif zero reset": 4.0}


def cell_of(variant, **changes):
    cell = CELLS[variant.split()[0]]
    # A slow membrane, so that credit has a past to go to.
    slow = {"tau_m": 20.0} if hasattr(cell, "tau_m") else {}
    return cell(UNITS, **slow | VARIANTS[variant] | changes)


def evaluator_of(xp, variant, layers=1, **options):
    model = neko.Model([cell_of(variant)] * layers, OUT, xp, tau_out=7.0, seed=3).build(N_IN)
    if layers > 1 and model.network.cells[1].spiking:
        w_in = model.params["layers.1.w_in"]
        model.params["layers.1.w_in"] = UPPER.get(variant, 1.3) * xp.abs(w_in)
    options = {"regularizer": neko.FiringRate(target=50.0, strength=3.0)} | options
    return neko.Evaluator(model, loss="mse", **options)


def data_of(layers=1, seed=0):
    rng = np.random.default_rng(seed)
    x = 1.5 * rng.standard_normal((BATCH, TIME, N_IN))
    mask = np.ones((BATCH, TIME))
    mask[1, 9:] = 0.0
    return x, rng.standard_normal((BATCH, TIME, OUT)), mask


@functools.cache
def case_of(xp, variant, layers=1):
    """A network that is alive, with data and its gradient by BPTT: made once for the laws that do not change it."""
    evaluator, data = evaluator_of(xp, variant, layers), data_of()
    bptt = made(neko.BPTT, evaluator).gradients(*data)[1]
    assert_live(evaluator, data[0], bptt, xp)
    return Case(xp, evaluator, *data, {name: np.asarray(xp.to_numpy(g)) for name, g in bptt.items()})


def gradients_of(rule, data):
    return rule.gradients(*data)[1]


@pytest.mark.parametrize("variant", ALL)
@pytest.mark.parametrize("layers", [1, 2])
def test_bptt_equals_autodiff_of_a_plain_loop(xp, variant, layers):
    case = case_of(xp, variant, layers)
    assert ORACLES["autodiff"](case, made(neko.BPTT, case.evaluator)) < EXACT


@pytest.mark.parametrize("variant", ALL)
@pytest.mark.parametrize("layers", [1, 2])
def test_rtrl_equals_bptt(xp, variant, layers):
    case = case_of(xp, variant, layers)
    assert ORACLES["bptt"](case, made(neko.RTRL, case.evaluator)) < EXACT


@pytest.mark.parametrize("variant", ALL)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("mode", ["symmetric", "random"])
def test_eprop_equals_autodiff_with_its_cuts(xp, variant, layers, mode):
    case = case_of(xp, variant, layers)
    rule = made(neko.Eprop, case.evaluator, mode=mode)
    assert ORACLES["cut autodiff"](case, rule) < EXACT
    assert ORACLES["bptt"](case, rule) > CONTROL, "a rule that secretly is BPTT"


@pytest.mark.quick("torch", "tensorflow")
@pytest.mark.parametrize("variant", ALL)
@pytest.mark.parametrize("mode", ["symmetric", "random", "adaptive"])
def test_the_three_forms_of_eprop_are_equal(xp, variant, mode):
    if xp.name != "torch" and mode == "random":
        pytest.skip("same code as adaptive but for the feedback's gradient")
    case = case_of(xp, variant, 2)
    whole = gradients(made(neko.Eprop, case.evaluator, mode=mode), case.data)
    forms = [{"stepwise": True}, {"chunk": 5}]
    if xp.name == "torch":
        forms += [{"chunk": 1}, {"chunk": TIME}, {"chunk": 4, "stepwise": True}]
    for form in forms:
        found = gradients(made(neko.Eprop, case.evaluator, mode=mode, **form), case.data)
        assert max_relative_error(found, whole) < EXACT


@pytest.mark.parametrize("variant", ALL)
def test_random_feedback_equal_to_the_output_weights_is_symmetric(xp, variant):
    data = data_of()
    evaluator = evaluator_of(xp, variant)
    symmetric = gradients_of(made(neko.Eprop, evaluator), data)
    rule = made(neko.Eprop, evaluator, mode="random")
    random = gradients_of(rule, data)
    assert relative_error(xp, random, symmetric) > CONTROL
    rule.feedback = {"feedback.0": xp.matrix_transpose(evaluator.params["readout.w_out"])}
    same = gradients_of(rule, data)
    for name in symmetric:
        assert np.array_equal(xp.to_numpy(same[name]), xp.to_numpy(symmetric[name])), name


@pytest.mark.parametrize("variant", ALL)
def test_eprop_is_bptt_without_recurrence(xp, variant):
    """Where no spike is fed back through weights and the reset is detached in both, nothing is cut."""
    data = data_of()
    cell = cell_of(variant, detach_reset=True) if hasattr(cell_of(variant), "detach_reset") else cell_of(variant)
    model = neko.Model(cell, OUT, xp, tau_out=7.0, seed=3).build(N_IN)
    if cell.recurrent_currents:
        model.params["layers.0.w_rec"] = xp.zeros_like(model.params["layers.0.w_rec"])
    evaluator = neko.Evaluator(model, loss="mse")
    bptt = gradients_of(made(neko.BPTT, evaluator), data)
    assert_live(evaluator, data[0], bptt, xp)
    assert relative_error(xp, gradients_of(made(neko.Eprop, evaluator), data), bptt) < EXACT


@pytest.mark.quick("torch", "tensorflow")
@pytest.mark.parametrize("variant", ALL)
def test_true_credit_in_place_of_the_learning_signal_gives_bptt(xp, variant):
    """dE/dW = Σ_t dE/dz_t e_t with the true dE/dz_t, through readout and recurrence (Bellec 2020, eq. 1)."""
    x, y, mask = data_of()
    evaluator = evaluator_of(xp, variant, regularizer=None)
    bptt = gradients_of(made(neko.BPTT, evaluator), (x, y, mask))
    network, params = evaluator.network, evaluator.params
    batch = evaluator.batch(xp.asarray(x), xp.asarray(y), xp.asarray(mask))
    cell, start = network.cells[0], network.initial_state(xp, BATCH)
    step, feed = layer_step(xp, cell, layer_weights(xp, cell, layer_params(params, 0)), batch.x)

    def loss(pushes):
        """The loss with a push on each spike that only readout and recurrence see."""
        h, seen, z = start.layers[0], [], start.layers[0][-1]
        for t in range(TIME):
            drive = tuple(None if f is None else f[t] for f in feed)
            h = cell.dynamics(xp, h, *step_currents(step, h, z, drive))
            z = h[-1] + pushes[t]
            seen.append(z)
        outputs = network.readout.outputs(xp, params, xp.stack(seen, axis=0), start.readout)[1]
        return evaluator.objective.value(xp, outputs, batch)

    credit = xp.value_and_grad(loss)(xp.zeros((TIME, BATCH, UNITS)))[1]
    _, _, traces = network.record(xp, params, batch.x, start)
    local = step_jacobians(xp, cell, traces[0])
    _, blocks = layer_blocks(xp, local, presynaptic(xp, cell, traces[0]), credit, None)
    found = {f"layers.0.{k}": g for k, g in weight_gradients(xp, cell, N_IN, blocks).items()}
    expected = {name: bptt[name] for name in found}
    assert relative_error(xp, found, expected) < EXACT


def step_currents(step, h, z, drive):
    """The currents of a step whose recurrent input is `z` instead of the state's own emission."""
    return step(h._replace(**{h._fields[-1]: z}), drive)[1]


@pytest.mark.quick("torch", "tensorflow")
@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_bptt_equals_finite_differences(xp, name):
    data = data_of()
    evaluator = evaluator_of(xp, name)
    found = gradients_of(made(neko.BPTT, evaluator), data)
    rng = np.random.default_rng(0)
    start = dict(evaluator.params)
    eps = 1e-6
    for key, value in start.items():
        direction = rng.standard_normal(tuple(value.shape))
        losses = []
        for sign in (1.0, -1.0):
            evaluator.params = start | {key: value + xp.asarray(sign * eps * direction)}
            losses.append(evaluator.evaluate(*data)["loss"])
        evaluator.params = start
        slope = (losses[0] - losses[1]) / (2 * eps)
        assert slope == pytest.approx(float(np.sum(xp.to_numpy(found[key]) * direction)), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("variant", ALL)
def test_the_column_law(xp, variant):
    """Neuron j of the next state reads column j only, in its value and in its derivative."""
    check_columns(xp, cell_of(variant), 1.0, seed=1)


@pytest.mark.quick("torch")
def test_truncated_bptt_cuts_at_the_borders(xp):
    """With readout and losses of each piece its own, truncated BPTT is the sum of BPTT over pieces."""
    x, y, _ = data_of()
    data = x[:, :12], y[:, :12]
    evaluator = evaluator_of(xp, "rnn", regularizer=None, reduction="sum")
    whole = gradients_of(made(neko.BPTT, evaluator), data)
    cut = gradients_of(made(neko.BPTT, evaluator, truncation=4), data)
    assert relative_error(xp, cut, whole) > CONTROL
    assert relative_error(xp, gradients_of(made(neko.BPTT, evaluator, truncation=12), data), whole) < EXACT
    stream = made(neko.BPTT, evaluator, optimizer=Keep(xp), stream=True)
    for begin in range(0, 12, 4):
        stream.step(data[0][:, begin : begin + 4], data[1][:, begin : begin + 4])
    assert relative_error(xp, stream.update_state, cut) < EXACT


class Keep:
    """An update that changes nothing and adds up, as its state, the gradients it is shown."""

    def __init__(self, xp):
        self.xp = xp

    def init(self, params):
        return {name: self.xp.zeros_like(p) for name, p in params.items()}

    def step(self, params, gradients, state, rate):
        return params, {name: total + gradients[name] for name, total in state.items()}


@pytest.mark.quick("torch", "tensorflow")
@pytest.mark.parametrize("variant", ["alif", "lstm", "dendritic"])
@pytest.mark.parametrize("mode", ["symmetric", "adaptive"])
def test_a_stream_in_pieces_learns_as_one_sequence(xp, variant, mode):
    x, y, _ = data_of()
    evaluator = evaluator_of(xp, variant, layers=2, regularizer=None, reduction="sum")
    whole = gradients_of(made(neko.Eprop, evaluator, mode=mode), (x, y))
    rule = made(neko.Eprop, evaluator, mode=mode, optimizer=Keep(xp), stream=True)
    for begin, end in ((0, 5), (5, 6), (6, 13)):
        rule.step(x[:, begin:end], y[:, begin:end])
    assert relative_error(xp, rule.update_state, whole) < EXACT
    rule.reset()
    before = dict(rule.update_state)
    rule.step(x[:, :5], y[:, :5])
    again = {name: total - before[name] for name, total in rule.update_state.items()}
    first = gradients_of(made(neko.Eprop, evaluator, mode=mode), (x[:, :5], y[:, :5]))
    assert relative_error(xp, again, first) < EXACT


@pytest.mark.quick("torch")
@pytest.mark.parametrize("stepwise", [False, True])
def test_online_learning_updates_at_every_step(xp, stepwise):
    """Textbook online e-prop of a LIF layer in NumPy, weights changing at each step, gives the same weights."""
    x, y, _ = data_of()
    rate = 0.05
    evaluator = evaluator_of(xp, "lif", regularizer=None, reduction="sum")
    options = {"chunk": 1, "online": True, "stepwise": stepwise}
    rule = made(neko.Eprop, evaluator, optimizer="sgd", learning_rate=rate, **options)
    evaluator.build(x)
    w = {name: np.array(xp.to_numpy(p)) for name, p in evaluator.params.items()}
    start = {name: p.copy() for name, p in w.items()}
    rule.step(x, y)

    alpha, kappa = np.exp(-1 / 20.0), np.exp(-1 / 7)
    v, z, f = np.zeros((BATCH, UNITS)), np.zeros((BATCH, UNITS)), np.zeros((BATCH, OUT))
    zbar, eps = np.zeros((BATCH, UNITS)), np.zeros((BATCH, N_IN + UNITS, UNITS))
    bar = np.zeros_like(eps)
    mask = 1 - np.eye(UNITS)
    for t in range(TIME):
        pre = np.concatenate([x[:, t], z], axis=1)
        v = alpha * v + pre @ np.concatenate([w["layers.0.w_in"], mask * w["layers.0.w_rec"]]) - z
        z = (v > 1.0).astype(float)
        psi = 0.3 * np.maximum(0, 1 - np.abs(v - 1.0))
        eps = alpha * eps + pre[:, :, None]
        bar, zbar = kappa * bar + psi[:, None, :] * eps, kappa * zbar + z
        f = kappa * f + z @ w["readout.w_out"]
        error = 2 / OUT * (f + w["readout.b_out"] - y[:, t]) / BATCH
        grad = np.einsum("bn,bpn->pn", error @ w["readout.w_out"].T, bar)
        w["readout.w_out"] -= rate * zbar.T @ error
        w["readout.b_out"] -= rate * error.sum(0)
        w["layers.0.w_in"] -= rate * grad[:N_IN]
        w["layers.0.w_rec"] -= rate * mask * grad[N_IN:]
    assert max(np.abs(w[name] - start[name]).max() for name in w) > CONTROL
    assert relative_error(xp, evaluator.params, {name: xp.asarray(p) for name, p in w.items()}) < 1e-11


def test_adaptive_feedback_aligns_as_its_decay_says(xp):
    x, y, _ = data_of()
    evaluator = evaluator_of(xp, "alif")
    decay = 0.1
    rule = made(neko.Eprop, evaluator, mode="adaptive", feedback_decay=decay, optimizer="sgd", learning_rate=0.05)

    def gap():
        b = xp.to_numpy(rule.feedback["feedback.0"])
        return b - xp.to_numpy(evaluator.params["readout.w_out"]).T

    rule.gradients(x, y)
    first, w_first = gap(), xp.to_numpy(evaluator.params["readout.w_out"]).copy()
    for _ in range(5):
        rule.step(x, y)
    assert np.abs(xp.to_numpy(evaluator.params["readout.w_out"]) - 0.9**5 * w_first).max() > CONTROL
    np.testing.assert_allclose(gap(), (1 - decay) ** 5 * first, rtol=1e-10, atol=1e-14)


@pytest.mark.quick("torch")
def test_padded_frames_count_nowhere(xp):
    """Gradients with a mask do not see what stands in the padding, nor how much of it there is."""
    x, y, mask = data_of()
    for kind in (neko.BPTT, neko.RTRL, neko.Eprop):
        rule = made(kind, case_of(xp, "alif").evaluator)
        found = gradients_of(rule, (x, y, mask))
        noise = np.random.default_rng(5).standard_normal(x.shape) * (1 - mask[..., None])
        padded = [np.concatenate([a, np.ones_like(a[:, :3])], axis=1) for a in (x + noise, y)]
        longer = np.concatenate([mask, np.zeros_like(mask[:, :3])], axis=1)
        assert relative_error(xp, gradients_of(rule, (*padded, longer)), found) < EXACT
        assert relative_error(xp, gradients_of(rule, (x, y, np.ones_like(mask))), found) > CONTROL


@pytest.mark.quick("torch", "tensorflow")
@pytest.mark.parametrize("target", ["every", "last", "mean"])
def test_every_rule_minimises_the_same_objective(xp, target):
    """Without recurrence and reset all rules have one gradient, for each way to hold a target."""
    x, _, mask = data_of()
    y = np.random.default_rng(2).standard_normal((BATCH, OUT))
    model = neko.Model(neko.cells.LIF(UNITS, tau_m=20.0, detach_reset=True), OUT, xp, seed=3).build(N_IN)
    model.params["layers.0.w_rec"] = xp.zeros_like(model.params["layers.0.w_rec"])
    evaluator = neko.Evaluator(model, loss=lambda xp, p, t: xp.sum(xp.abs(p - t) ** 3, axis=-1), target=target)
    bptt = gradients_of(made(neko.BPTT, evaluator), (x, y, mask))
    assert_live(evaluator, x, bptt, xp)
    rules = [made(neko.RTRL, evaluator), made(neko.Eprop, evaluator)]
    if target != "mean":
        rules.append(made(neko.Eprop, evaluator, chunk=4))
    for rule in rules:
        assert relative_error(xp, gradients_of(rule, (x, y, mask)), bptt) < EXACT


@dataclasses.dataclass(frozen=True, eq=False)
class Fresh(neko.cells.Cell):
    """A cell nobody registered: two coupled variables and a smooth emission."""

    State = neko.cells.lif.LIFState
    leak: float = 0.8

    def dynamics(self, xp, state, current):
        v = self.leak * state.v + current - 0.3 * state.r
        r = 0.9 * state.r + 0.2 * xp.tanh(v)
        return type(state)(v, r, xp.tanh(v - r))


@pytest.mark.quick("torch")
def test_a_users_own_cell_gets_every_rule(xp):
    evaluator = neko.Evaluator(neko.Model([Fresh(UNITS), Fresh(5)], OUT, xp, seed=1), loss="mse")
    case = Case(xp, evaluator, *data_of(), gradients(made(neko.BPTT, evaluator), data_of()))
    assert ORACLES["bptt"](case, made(neko.RTRL, evaluator)) < EXACT
    whole = made(neko.Eprop, evaluator)
    assert ORACLES["cut autodiff"](case, whole) < EXACT
    chunks = gradients(made(neko.Eprop, evaluator, chunk=3), case.data)
    assert max_relative_error(chunks, gradients(whole, case.data)) < EXACT
