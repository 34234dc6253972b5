"""Constants that learn: the gradient of every rule against an independent truth, for every cell and backend."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import neko
from neko import Learnable
from neko.backend.generated import plain
from neko.cells import ALIF, LIF, LSTM, AdEx, Cell, Dendritic
from neko.cells.constants import settle
from neko.cells.learnable import bound, learnt
from neko.models.layer import States, layer_step, layer_weights, scanned
from neko.models.network import layer_params
from neko.rules import RULES
from neko.rules.jacobian import step_jacobians
from neko.training.pairs import resolve
from neko.verification import judged, judged_rules
from neko.verification.cases import build_case, gradients, made, max_relative_error, on_host, relative_error
from neko.verification.oracles import ORACLES
from neko.verification.reference import by_autodiff, eprop_by_autodiff

from oracle import assert_moves, finite_differences, judged_params, liveness

TIME, BATCH, N_IN, UNITS, OUT = 13, 3, 4, 5, 2
EXACT = 1e-10


class LeakyState(NamedTuple):
    v: Any
    z: Any


@dataclass(frozen=True, eq=False)
class LeakyTanh(Cell):
    """A smooth cell of a user, whose two constants learn."""

    State = LeakyState
    leak: Any = 0.9
    gain: Any = 1.5

    def dynamics(self, xp, state, current):
        v = self.leak * state.v + current
        return LeakyState(v, xp.tanh(self.gain * v))


def potentials():
    return {
        "e_l": Learnable(-70.0, low=-75.0, high=-65.0),
        "v_t": Learnable(-50.0, low=-55.0, high=-45.0),
        "v_peak": Learnable(-40.0, low=-44.0, high=-30.0, per_neuron=True),
        "v_reset": Learnable(-58.0, low=-60.0, high=-50.0),
    }


# Shared and per neuron, each of the four maps, every constant of every cell.
CELLS = {
    "smooth": lambda: LeakyTanh(
        UNITS, leak=Learnable(0.8, low=0.0, high=1.0), gain=Learnable([1.5, 1.0, 0.5, -0.7, 2.0])
    ),
    "lif": lambda: LIF(
        UNITS, tau_m=Learnable(20.0), v_th=Learnable([0.2, 0.3, 0.4, 0.5, 0.3]), input_scaling=True, t_ref=2.0
    ),
    "lif zero reset": lambda: LIF(UNITS, tau_m=Learnable(20.0, spread=3.0), v_th=Learnable(0.5), reset="zero"),
    "alif": lambda: ALIF(
        UNITS,
        tau_m=Learnable(20.0, spread=3.0),
        beta=Learnable(0.2),
        v_th=Learnable(0.4, per_neuron=True),
        tau_a=Learnable(50.0, low=10.0, high=100.0),
    ),
    "dendritic": lambda: Dendritic(
        UNITS,
        tau_m=Learnable(20.0),
        tau_d=Learnable(30.0),
        coupling=Learnable(0.2),
        slope=Learnable(2.0),
        threshold=Learnable(0.5, per_neuron=True),
    ),
    "adex": lambda: AdEx(
        UNITS,
        resistance=Learnable(200.0),
        tau_m=Learnable(20.0, per_neuron=True),
        tau_w=Learnable(100.0),
        delta_t=Learnable(2.0),
        a=Learnable(0.2),
        b=Learnable(4.0),
        **potentials(),
    ),
    "lstm": lambda: LSTM(UNITS, forget_bias=Learnable(1.0)),
}
ALL = sorted(CELLS)


def evaluator_of(xp, cells, **options):
    """A network whose constants are away from their first values, where the map is not that at 0."""
    model = neko.Model(cells, OUT, xp, tau_out=7.0, seed=3, **options).build(N_IN)
    if len(model.network.cells) > 1:
        model.params["layers.1.w_in"] = 3.0 * xp.abs(model.params["layers.1.w_in"])
    rng = np.random.default_rng(7)
    for name, theta in model.params.items():
        if ".constants." in name:
            model.params[name] = theta + xp.asarray(0.3 * rng.standard_normal(theta.shape))
    regularizer = neko.FiringRate(target=50.0, strength=3.0)
    return neko.Evaluator(model, loss="mse", regularizer=regularizer)


def data():
    rng = np.random.default_rng(0)
    x, y = 3.0 * rng.standard_normal((BATCH, TIME, N_IN)), rng.standard_normal((BATCH, TIME, OUT))
    mask = np.ones((BATCH, TIME))
    mask[1, 9:] = 0.0
    return x, y, mask


@functools.cache
def network_of(xp, name, layers=1):
    """A network that is active and whose constants all matter, and its gradient by BPTT."""
    evaluator = evaluator_of(xp, [CELLS[name]() for _ in range(layers)])
    exact = gradients(made(neko.BPTT, evaluator), data())
    constants = {key: g for key, g in exact.items() if ".constants." in key}
    assert len(constants) == layers * len(learnt(evaluator.network.cells[0]))
    for key, g in constants.items():
        assert np.abs(g).max() > 1e-7, f"{key} does not matter"
    if evaluator.network.cells[0].spiking:
        liveness(evaluator.model.record(data()[0])[0][-1])
    return evaluator, exact


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", ALL)
def test_bptt_equals_autodiff_of_a_plain_loop_and_rtrl(xp, name):
    evaluator, exact = network_of(xp, name)
    reference = by_autodiff(xp, evaluator, evaluator.network.cells, *data())[1]
    assert relative_error(xp, exact, reference) < EXACT
    assert max_relative_error(gradients(made(neko.RTRL, evaluator), data()), exact) < EXACT


@pytest.mark.parametrize("name", ALL)
def test_generated_kernels_have_the_gradients_of_the_step(name):
    """A constant is an argument of the kernel, and the map to its range is in its derivative."""
    xp = neko.backend.get("torch", dtype="float64")
    evaluator, exact = network_of(xp, name)
    assert all(offer.generated for offer in evaluator.model.kernels)
    with plain():
        assert not any(offer.generated for offer in evaluator.model.kernels)
        bptt, eprop = (gradients(made(rule, evaluator), data()) for rule in (neko.BPTT, neko.Eprop))
    assert max_relative_error(exact, bptt) < EXACT
    assert max_relative_error(gradients(made(neko.Eprop, evaluator), data()), eprop) < EXACT


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smooth", "dendritic", "alif"])
def test_bptt_equals_rtrl_in_a_stack(xp, name):
    evaluator, exact = network_of(xp, name, 2)
    assert max_relative_error(gradients(made(neko.RTRL, evaluator), data()), exact) < EXACT


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("mode", ["symmetric", "random"])
def test_eprop_equals_autodiff_with_its_cuts(xp, name, mode):
    evaluator, exact = network_of(xp, name)
    rule = made(neko.Eprop, evaluator, mode=mode)
    found = gradients(rule, data())
    cut = [cell.without_reset() for cell in evaluator.network.cells]
    feedback = None if mode == "symmetric" else [rule.feedback["feedback.0"]]
    expected = on_host(xp, eprop_by_autodiff(xp, evaluator, cut, *data(), feedback=feedback))
    assert max_relative_error(found, expected) < EXACT
    assert_moves(found, exact)


@pytest.mark.quick("torch")
@pytest.mark.parametrize(
    ("name", "layers"), [*((name, 1) for name in ALL), ("smooth", 2), ("alif", 2), ("dendritic", 2)]
)
def test_eprop_of_the_whole_is_that_of_chunks_of_steps_and_of_a_stream(xp, name, layers):
    evaluator, _ = network_of(xp, name, layers)
    whole = gradients(made(neko.Eprop, evaluator), data())
    chunked = made(neko.Eprop, evaluator, chunk=5)
    chunked.gradient.least = 0
    assert max_relative_error(gradients(chunked, data()), whole) < EXACT
    assert max_relative_error(gradients(made(neko.Eprop, evaluator, stepwise=True), data()), whole) < EXACT

    # A stream whose pieces are summed; the rate term is per piece, so it is left out of both.
    free = neko.Evaluator(evaluator.model, loss="mse")
    rule, total, carry = neko.rules.Eprop(free), None, None
    x, y, _ = data()
    with xp.scope():
        carry = rule.initial_carry(BATCH)
        for piece in (slice(0, 5), slice(5, 6), slice(6, TIME)):
            batch = free.batch(*(xp.asarray(a[:, piece]) for a in (x, y)), None)
            found = rule.differentiate(free.params, {}, batch, carry)
            share = batch.x.shape[0] / TIME  # the loss of a piece is a mean over its own steps
            part = {key: share * g for key, g in on_host(xp, found.gradients).items()}
            total = part if total is None else {key: total[key] + g for key, g in part.items()}
            carry = found.carry
    assert max_relative_error(total, gradients(made(neko.Eprop, free), (x, y))) < EXACT


@pytest.mark.quick("torch")
def test_the_gradients_of_smooth_cells_are_their_finite_differences(xp):
    evaluator, exact = network_of(xp, "smooth")
    x, y, mask = data()

    def loss(params):
        evaluator.model.params = {key: xp.asarray(p) for key, p in params.items()}
        return float(evaluator.evaluate(x, y, mask=mask)["loss"])

    kept = evaluator.model.params
    try:
        constants = {key: p for key, p in on_host(xp, kept).items() if ".constants." in key}
        slopes = finite_differences(lambda moved: loss(on_host(xp, kept) | moved), constants)
    finally:
        evaluator.model.params = kept
    for key, slope in slopes.items():
        np.testing.assert_allclose(exact[key], slope, rtol=1e-7, atol=1e-8, err_msg=key)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", sorted(set(ALL) - {"smooth", "lstm"}))
def test_the_derivative_of_a_step_is_its_finite_difference_below_the_spike(xp, name):
    """Every field but the spike is a smooth function of every constant, at the states that a network visits."""
    evaluator, _ = network_of(xp, name)
    (cell,), params = evaluator.network.cells, layer_params(evaluator.params, 0)
    with xp.scope():
        weights = layer_weights(xp, cell, params)
        x = xp.permute_dims(xp.asarray(data()[0]), (1, 0, 2))
        state = evaluator.network.initial_state(xp, BATCH)
        _, _, (trace,) = evaluator.network.record(xp, evaluator.params, x, state, scanned)
        jacobian = step_jacobians(xp, cell, trace).all_steps()
        before, currents = trace.steps
        assert isinstance(trace.steps, States)
        assert len(layer_step(xp, cell, weights, x)[1]) + len(learnt(cell)) == len(currents)
        k, h, scale = cell.n_currents, 1e-5, {}
        for c in range(len(learnt(cell))):
            sides = []
            for sign in (h, -h):
                moved = [theta + sign if m == c else theta for m, theta in enumerate(currents[k:])]
                after = bound(xp, cell, moved).dynamics(xp, before, *currents[:k])
                sides.append([np.asarray(xp.to_numpy(a)) for a in after[:-1] if a is not None])
            for i, (plus, minus) in enumerate(zip(*sides, strict=True)):
                entry = jacobian.current[i][k + c]
                slope = (plus - minus) / (2.0 * h)
                entry = np.zeros_like(slope) if entry is None else np.asarray(xp.to_numpy(entry))
                scale[c] = max(scale.get(c, 0.0), np.abs(slope).max())
                # In float64 a difference of numbers about 70 is known to 1e-9 of the step.
                np.testing.assert_allclose(entry, slope, rtol=1e-6, atol=2e-8 * max(1.0, np.abs(slope).max()))
        # The threshold of the surrogate alone may act on the spike only.
        assert sum(value > 1e-6 for value in scale.values()) >= len(scale) - 2


@pytest.mark.quick("torch")
@pytest.mark.parametrize("rule", [neko.BPTT, neko.Eprop, neko.RTRL])
def test_the_gradient_of_a_shared_constant_is_the_sum_of_the_neurons(xp, rule):
    def found(**how):
        cell = ALIF(UNITS, tau_m=Learnable(20.0, **how), beta=Learnable(0.3, **how), v_th=0.4)
        return gradients(made(rule, neko.Evaluator(neko.Model(cell, OUT, xp, seed=3).build(N_IN), loss="mse")), data())

    shared, own = found(), found(per_neuron=True)
    for name in ("tau_m", "beta"):
        key = f"layers.0.constants.{name}"
        assert shared[key].shape == (1,)
        assert own[key].shape == (UNITS,)
        assert np.abs(own[key]).min() > 1e-7
        np.testing.assert_allclose(shared[key][0], own[key].sum(), rtol=1e-10)


@pytest.mark.quick("torch")
def test_a_network_whose_constants_do_not_learn_is_the_same_network(xp):
    """At the first values outputs and the gradients of weights do not depend on whether constants learn."""
    free = neko.Evaluator(neko.Model(CELLS["adex"](), OUT, xp, seed=3).build(N_IN), loss="mse")
    plain = {name: constant.value for name, constant in learnt(free.network.cells[0]).items()}
    held = neko.Evaluator(neko.Model(AdEx(UNITS, **plain), OUT, xp, seed=3).build(N_IN), loss="mse")
    x = data()[0]
    np.testing.assert_allclose(free.model.predict(x), held.model.predict(x), rtol=1e-12)
    for rule in (neko.BPTT, neko.Eprop):
        a, b = (gradients(made(rule, evaluator), data()) for evaluator in (free, held))
        assert not any(".constants." in key for key in b)
        assert max_relative_error({key: a[key] for key in b}, b) < EXACT


@pytest.mark.quick("torch")
def test_both_directions_learn_constants_of_their_own(xp):
    evaluator = evaluator_of(xp, CELLS["alif"](), bidirectional=True)
    exact = gradients(made(neko.BPTT, evaluator), data())
    assert {key for key in exact if "beta" in key} == {"layers.0.constants.beta", "backward.layers.0.constants.beta"}
    assert max_relative_error(gradients(made(neko.RTRL, evaluator), data()), exact) < EXACT
    assert set(evaluator.model.constants) >= {"layers.0.beta", "backward.layers.0.beta"}


def test_the_traces_of_constants_sum_to_the_gradient():
    xp = neko.backend.get(neko.backend.default(), dtype="float64")
    evaluator, _ = network_of(xp, "alif")
    rule = neko.Eprop(evaluator)
    (layer,), found = rule.traces(*data()), gradients(rule, data())
    for name, constant in learnt(evaluator.network.cells[0]).items():
        key = f"constants.{name}"
        assert layer.filtered[key].shape == (BATCH, TIME, UNITS)
        by_neuron = (layer.signal * layer.filtered[key] + layer.rate_signal * layer.eligibility[key]).sum((0, 1))
        total = by_neuron if constant.per_neuron else by_neuron.sum(keepdims=True)
        np.testing.assert_allclose(total, found[f"layers.0.{key}"], rtol=1e-10)


WEIGHTS_ALONE = {"ottt", "stdp", "reward_stdp"}
JUDGED = [(name, oracle) for name, oracle in judged_rules() if name.split(":")[0] not in WEIGHTS_ALONE]


@pytest.fixture(scope="module")
def case():
    xp = neko.backend.get(neko.backend.default(), dtype="float64")
    with xp.scope():
        constants = {name: learnt(CELLS["alif"]())[name] for name in ("beta", "v_th", "tau_a")}
        yield build_case(xp, ALIF(UNITS, tau_m=Learnable(20.0), **constants), 2.0, 0)


@pytest.mark.parametrize(("name", "oracle"), judged_params(JUDGED, "bptt", "eprop:adaptive", "rtrl", "uoro"))
def test_every_rule_has_by_constants_the_gradient_of_its_definition(case, name, oracle):
    """The registry's rules, each by its own oracle; the control has one gradient a hundredth too large."""
    assert judged(case, oracle, resolve(name)) < EXACT
    rule = resolve(name)(case.evaluator)
    exact, key = rule.gradient.differentiate, "layers.0.constants.beta"

    def wrong(*arguments):
        found = exact(*arguments)
        return found._replace(gradients={**found.gradients, key: 1.01 * found.gradients[key]})

    rule.gradient.differentiate = wrong
    rule.start(case.x)
    assert ORACLES[oracle](case, rule) > 1e-3


@pytest.mark.parametrize("name", sorted(WEIGHTS_ALONE))
def test_a_rule_for_weights_alone_refuses_constants_that_learn(case, name):
    with pytest.raises(TypeError, match=r"changes weights only, and .* has constants that learn, \['tau_m', 'v_th'"):
        resolve(name)(case.evaluator)
    assert not RULES[name].learns_constants
    assert {each for each in RULES if not RULES[each].learns_constants} == WEIGHTS_ALONE


@pytest.mark.slow
@pytest.mark.parametrize("rule", [neko.BPTT, neko.Eprop])
@pytest.mark.parametrize(
    ("cell", "true", "start"),
    [
        (LIF, {"tau_m": 20.0}, {"tau_m": 6.0}),
        (ALIF, {"tau_m": 20.0, "beta": 0.5}, {"tau_m": 8.0, "beta": 0.1}),
        (LIF, {"v_th": 1.0, "tau_m": 20.0}, {"v_th": 0.5, "tau_m": 20.0}),
    ],
)
def test_the_constants_of_a_network_are_found_again_from_its_outputs(rule, cell, true, start):
    """A student with the weights of its teacher, and other constants, learns the teacher's to within 2 %, from data
    that are new at each update."""
    xp = neko.backend.get("torch", dtype="float64")

    def network(constants):
        return neko.Evaluator(neko.Model(cell(20, **constants), OUT, xp, tau_out=5.0, seed=1).build(3), loss="mse")

    teacher, student = network(true), network({name: Learnable(value) for name, value in start.items()})
    learner, rng, steps = rule(student), np.random.default_rng(0), 150
    mean, square = dict.fromkeys(start, 0.0), dict.fromkeys(start, 0.0)
    for step in range(1, steps + 1):
        x = 2.0 * rng.standard_normal((16, 60, 3))
        found = learner.gradients(x, teacher.model.predict(x))[1]
        for name in start:  # Adam, of the constants alone
            key = f"layers.0.constants.{name}"
            g = float(found[key][0])
            mean[name], square[name] = 0.9 * mean[name] + 0.1 * g, 0.99 * square[name] + 0.01 * g * g
            move = (mean[name] / (1.0 - 0.9**step)) / (np.sqrt(square[name] / (1.0 - 0.99**step)) + 1e-12)
            student.model.params[key] = student.model.params[key] - 0.1 * (1.0 - step / steps) * move
    liveness(teacher.model.record(x)[0][-1])
    for name, value in true.items():
        np.testing.assert_allclose(student.model.constants[f"layers.0.{name}"], value, rtol=0.02, err_msg=name)


class TraceState(NamedTuple):
    v: Any


@dataclass(frozen=True, eq=False)
class Integrator(Cell):
    """A leaky integrator of its input, which it emits."""

    State = TraceState
    recurrent_currents = ()
    tau: Any = 5.0

    def __post_init__(self):
        super().__post_init__()
        settle(self, self.units, neko.cells.constants.positive, "tau")

    def dynamics(self, xp, state, current):
        decay = neko.cells.constants.decay(xp, self.dt, self.tau)
        return TraceState(decay * state.v + (1.0 - decay) * current)


@pytest.mark.slow
@pytest.mark.parametrize("rule", [neko.BPTT, neko.Eprop])
def test_the_time_constant_of_a_filter_is_found_with_the_weights(rule):
    """The target is the input through a filter of 30 ms; weights and τ, from 5 ms, are trained by Adam."""
    model = neko.Model(Integrator(4, tau=Learnable(5.0)), 1, "torch", tau_out=None, seed=1)
    learner = rule(neko.Evaluator(model, loss="mse"), optimizer="adam", learning_rate=0.02)
    rng, decay = np.random.default_rng(1), np.exp(-1.0 / 30.0)
    for _ in range(500):
        x = rng.standard_normal((16, 60, 3))
        drive, v, y = x @ np.array([1.0, -0.5, 0.8]), np.zeros(16), np.zeros((16, 60, 1))
        for t in range(60):
            v = decay * v + (1.0 - decay) * drive[:, t]
            y[:, t, 0] = v
        learner.step(x, y)
    np.testing.assert_allclose(model.constants["layers.0.tau"], 30.0, rtol=0.01)
