"""Cells: their constants, what may feed them, and how they show themselves."""

from __future__ import annotations

import copy
import functools
import inspect
import math
import pickle
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko.cells import ALIF, CELLS, LIF, LSTM, AdEx, Cell, CubaLIF, Dendritic
from neko.cells.surrogates import Arctan, Boxcar, FastSigmoid, Gaussian, MultiGaussian, Triangular
from neko.verification.cases import max_relative_error, relative_error


class ApartState(NamedTuple):
    v: Any
    z: Any


@dataclass(frozen=True, eq=False)
class Apart(Cell):
    """Input and recurrence reach two currents, and the two others nothing but a bias."""

    State = ApartState
    input_currents = (0,)
    recurrent_currents = (2,)
    n_currents = 4

    def dynamics(self, xp, state, driven, between, recurrent, last):
        v = 0.8 * state.v + xp.tanh(driven + recurrent) * xp.sigmoid(between) + 0.3 * last
        return ApartState(v, xp.tanh(v))


class Biased(Apart):
    bias = True


@pytest.mark.parametrize("cell", [Apart, Biased])
@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", backends.installed())
def test_a_current_that_nothing_feeds_is_its_bias_or_zero(cell, backend):
    """In every rule, and in a stack: the oracles take such a current as 0 plus bias."""
    report = neko.verify(cell(5), backends=[backend])
    assert report.ok, report
    xp = backends.get(backend, dtype="float64")
    with xp.scope():
        check_rules(xp, cell)


def check_rules(xp, cell):
    model = neko.Model([cell(4), cell(5)], 2, xp).build(3)
    model.params = {name: p + 0.1 for name, p in model.params.items()}
    evaluator = neko.Evaluator(model, loss="mse")
    rng = np.random.default_rng(0)
    data = rng.standard_normal((2, 9, 3)), rng.standard_normal((2, 9, 2))
    bptt = neko.BPTT(evaluator, jit=False).gradients(*data)[1]
    assert all(np.abs(xp.to_numpy(g)).max() > 1e-6 for g in bptt.values())
    assert ("layers.0.b" in bptt) is cell.bias
    assert relative_error(xp, neko.RTRL(evaluator, jit=False).gradients(*data)[1], bptt) < 1e-12
    for mode in ("symmetric", "random", "adaptive"):
        whole = neko.Eprop(evaluator, mode=mode, jit=False).gradients(*data)[1]
        for form in ({"chunk": 4}, {"stepwise": True}):
            found = neko.Eprop(evaluator, mode=mode, jit=False, **form).gradients(*data)[1]
            assert relative_error(xp, found, whole) < 1e-12


@pytest.mark.parametrize("cell", [LIF, CubaLIF])
def test_a_bias_is_a_constant_input_and_an_autapse_a_spike_of_the_step_before(cell):
    """A bias b is the same as a further input of 1 with weights b; an autapse of weight w as w times the own spike."""
    xp = backends.get("torch", dtype="float64")
    rng = np.random.default_rng(0)
    x, b = rng.standard_normal((2, 40, 3)), rng.standard_normal(5)
    biased = neko.Model(cell(5, bias=True, autapses=True), 2, xp).build(3)
    biased.params["layers.0.b"] = xp.asarray(b)
    wider = neko.Model(cell(5, autapses=True), 2, xp).build(4)
    w_in = np.concatenate([np.asarray(biased.params["layers.0.w_in"]), b[None]])
    wider.params |= {"layers.0.w_in": xp.asarray(w_in), "layers.0.w_rec": biased.params["layers.0.w_rec"]}
    z, same = (m.record(i)[0].z for m, i in ((biased, x), (wider, np.concatenate([x, np.ones((2, 40, 1))], axis=2))))
    assert 0.01 < z.mean() < 0.9
    np.testing.assert_array_equal(z, same)
    alone = neko.Model(cell(1, autapses=True, v_th=0.5), 2, xp).build(1)
    alone.params |= {"layers.0.w_in": xp.asarray([[1.0]]), "layers.0.w_rec": xp.asarray([[100.0]])}
    assert alone.record(np.eye(9, 1)[None])[0].z.all()  # the first spike keeps itself alive
    alone.params["layers.0.w_rec"] = xp.asarray([[0.0]])
    assert not alone.record(np.eye(9, 1)[None])[0].z.all()


def test_a_membrane_without_leak_keeps_what_it_gets():
    model = neko.LIF(1, 1, "torch", tau_m=math.inf, v_th=100.0, recurrent=False).build(1)
    model.params["layers.0.w_in"] += 1.0 - model.params["layers.0.w_in"]
    np.testing.assert_array_equal(model.record(np.ones((1, 9, 1)))[0].v[0, :, 0], np.arange(1.0, 10.0))
    with pytest.raises(ValueError, match="input_scaling=True with tau_m=inf"):
        LIF(1, tau_m=math.inf, input_scaling=True)


def test_a_dendrite_without_recurrence_gets_nothing():
    model = neko.Dendritic(4, 2, "torch", recurrent=False).build(3)
    assert "layers.0.w_rec" not in model.params
    states = model.record(3.0 * np.random.default_rng(0).random((2, 20, 3)))[0]
    assert states.z.any()
    assert not states.d.any()


@pytest.mark.parametrize(
    ("name", "fed"), [("input_currents", ()), ("recurrent_currents", (0, 0)), ("input_currents", (4,))]
)
def test_currents_that_make_no_sense_are_named(name, fed):
    wrong = type("Wrong", (Apart,), {name: fed})
    with pytest.raises(ValueError, match=f"{name}="):
        wrong(3)


def test_a_step_that_takes_other_currents_than_there_are_is_named():
    with pytest.raises(TypeError, match=r"Wrong\.dynamics takes .*last.*: expected a backend, a state and 3 currents"):
        type("Wrong", (Apart,), {"n_currents": 3})(4)


# --- constants --------------------------------------------------------------------------------------------------------

KINDS = {
    "integers": lambda a: [int(v) for v in a],
    "a mixed list": lambda a: [int(a[0]), *map(float, a[1:])],
    "integer array": lambda a: np.array(a, np.int64),
    "small integers": lambda a: np.array(a, np.uint8),
    "single precision": lambda a: np.array(a, np.float32),
    "numpy scalars": lambda a: [np.float32(v) for v in a],
    "read-only": lambda a: np.broadcast_to(np.array(a), (len(a),)),
}
SINGLE = {
    "integer": int,
    "numpy integer": np.int32,
    "single": np.float32,
    "0-d": np.array,
    "0-d integer": lambda v: np.array(int(v)),
}


@pytest.mark.parametrize("backend", backends.installed())
def test_numbers_of_every_kind_are_the_constants_that_they_say(backend):
    """To the last bit of double precision; integers crashed TensorFlow and were single precision on PyTorch."""
    xp = backends.get(backend, dtype="float64")
    x = 4.0 * np.random.default_rng(0).random((2, 12, 3))

    def predict(change, single):
        cells = [
            ALIF(
                4, tau_m=change([5.0, 10.0, 15.0, 20.0]), tau_a=single(150.0), beta=single(1.0), v_th=change([1.0] * 4)
            ),
            Dendritic(3, tau_d=change([9.0, 10.0, 11.0]), t_ref=change([2.0, 3.0, 4.0]), dt=single(1.0)),
        ]
        return neko.Model(cells, 2, xp, tau_out=single(20.0)).predict(x)

    expected = predict(lambda a: a, float)
    assert np.ptp(expected) > 1e-3
    own = {
        "of the framework": lambda a: xp.asarray(np.array(a)),
        "integers of it": lambda a: xp.asarray(np.array(a, int)),
    }
    changes = [*(KINDS | own).values()] if backend == "torch" else [KINDS["integers"], *own.values()]
    for change in changes:
        assert np.array_equal(predict(change, float), expected)
    for single in (SINGLE | {"of the framework": lambda v: xp.asarray(np.array(v))}).values():
        if backend == "torch" or single is int:
            assert np.array_equal(predict(lambda a: a, single), expected)


def test_every_constant_may_differ_by_neuron():
    """A layer of different neurons is these neurons, one by one."""
    xp = backends.get("torch", dtype="float64")
    rng = np.random.default_rng(0)
    n, alone = (
        5,
        {"units", "reset", "input_scaling", "recurrent", "autapses", "bias", "detach_reset", "surrogate", "dt"},
    )
    for cell in (LIF, ALIF, CubaLIF, Dendritic, AdEx, LSTM):
        names = {f.name for f in fields(cell)} - alone
        assert names
        values = {f: getattr(cell(1), f) * rng.uniform(0.95, 1.05, n) for f in names}
        if "t_ref" in names:
            values["t_ref"] = [0.0, 1.0, 2.5, 3.0, 4.2]
        together, apart = cell(n, **values), [cell(1, **{f: [v[j]] for f, v in values.items()}) for j in range(n)]
        whole = together.initial_state(xp, 2)
        parts = [c.initial_state(xp, 2) for c in apart]
        seen = []
        for _ in range(40):
            currents = [xp.asarray(rng.uniform(-0.2, 0.9, (2, n))) for _ in range(together.n_currents)]
            whole = together.dynamics(xp, whole, *currents)
            parts = [
                c.dynamics(xp, p, *(i[:, j : j + 1] for i in currents))
                for j, (c, p) in enumerate(zip(apart, parts, strict=True))
            ]
            columns = np.concatenate([xp.to_numpy(p[-1]) for p in parts], axis=1)
            np.testing.assert_allclose(xp.to_numpy(whole[-1]), columns, rtol=1e-12, atol=1e-12)
            seen.append(columns)
        assert np.mean(np.array(seen) != 0.0) > 0.0, cell


@pytest.mark.parametrize(
    ("t_ref", "dt", "steps"),
    [
        (7.0, 5.0, 2),
        (2.5, 1.0, 3),
        (3.5, 1.0, 4),
        (0.3, 0.1, 3),
        (0.7, 0.1, 7),
        (1.1, 0.1, 11),
        (4, 1, 4),
        (1e-3, 1.0, 1),
        (np.float32(0.3), np.float32(0.1), 3),
        (2.0, 0.7, 3),
    ],
)
def test_spikes_are_at_least_the_refractory_period_apart(t_ref, dt, steps):
    for make in (neko.LIF, neko.ALIF, neko.Dendritic):
        model = make(1, 1, "torch", t_ref=t_ref, dt=dt).build(1)
        model.params["layers.0.w_in"][:] = 500.0
        gaps = np.diff(np.flatnonzero(model.record(np.ones((1, 40, 1)))[0].z[0, :, 0]))
        assert set(gaps) == {steps}, make


def test_neurons_of_one_layer_have_their_own_refractory_periods():
    model = neko.LIF(4, 1, "torch", t_ref=[0, 2, 3.5, 7], recurrent=False).build(1)
    model.params["layers.0.w_in"][:] = 500.0
    z = model.record(np.ones((1, 60, 1)))[0].z[0]
    assert [int(np.diff(np.flatnonzero(z[:, j])).max()) for j in range(4)] == [1, 2, 4, 7]


def trainable(name):
    if name == "torch":
        torch = pytest.importorskip("torch")
        parameter = torch.nn.Parameter(torch.tensor(5.0))
        return [parameter, [parameter] * 4, torch.nn.Parameter(torch.ones(4)), 2.0 * parameter]
    tf = pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
    return [tf.Variable(5.0), tf.Variable([5.0] * 4), keras.Variable(5.0)]


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_trainable_constant_is_refused(framework):
    @dataclass(frozen=True, eq=False)
    class Own(Apart):
        leak: Any = 0.9

    for value in trainable(framework):
        for make in (
            lambda v: LIF(4, tau_m=v),
            lambda v: AdEx(4, b=v),
            lambda v: LSTM(4, forget_bias=v),
            lambda v: Own(4, leak=v),
            lambda v: Triangular(gamma=v),
            lambda v: neko.LIF(4, 2, "torch", tau_out=v),
        ):
            with pytest.raises(TypeError, match=r"is a trainable .*=Learnable\("):
                make(value)


def test_what_is_given_can_be_changed_afterwards():
    @dataclass(frozen=True, eq=False)
    class Own(Apart):
        leak: Any = 0.9

    a, b, c = [5.0, 6.0], np.array([5.0, 6.0]), np.array(5.0)
    cells = [LIF(2, tau_m=a), LIF(2, tau_m=b), LIF(2, tau_m=c), Own(2, leak=a), Own(2, leak=b)]
    a[0] = b[0] = 99.0
    c[...] = 99.0
    assert [cell.tau_m for cell in cells[:3]] == [(5.0, 6.0), (5.0, 6.0), 5.0]
    assert all(list(cell.leak) == [5.0, 6.0] for cell in cells[3:])


@pytest.mark.parametrize(
    "wrong",
    [
        True,
        np.bool_(True),
        [True, False],
        float("nan"),
        [1.0, np.inf],
        "5",
        ["5", "6"],
        b"5",
        None,
        1j,
        [[5.0, 6.0]],
        {5.0, 6.0},
        np.ma.masked_array([5.0, 6.0], mask=[True, False]),
    ],
    ids=repr,
)
def test_what_is_no_number_is_refused(wrong):
    for make in (
        lambda v: LIF(2, tau_m=v),
        lambda v: LIF(2, t_ref=v),
        lambda v: LIF(2, dt=v),
        lambda v: Dendritic(2, threshold=v),
        lambda v: Gaussian(sigma=v),
        lambda v: neko.AdEx(2, 2, "torch", resistance=v),
    ):
        with pytest.raises(ValueError, match="expected a finite value"):
            make(wrong)


@pytest.mark.parametrize("name", ["recurrent", "input_scaling", "detach_reset"])
def test_a_switch_is_true_or_false(name):
    assert LIF(2, **{name: np.bool_(False)}).__dict__[name] is False
    for wrong in ("no", 0, None):
        with pytest.raises(TypeError, match=f"{name}={wrong!r}: expected True or False"):
            LIF(2, **{name: wrong})


# --- surrogates -------------------------------------------------------------------------------------------------------


def fast_sigmoid(xp, u):
    return 1.0 / xp.square(1.0 + 10.0 * xp.abs(u))


def of_u(u, slope=10.0):
    return 1.0 / (1.0 + slope * abs(u)) ** 2


@dataclass(frozen=True, eq=False)
class OwnSpiking(Apart):
    spiking = True
    surrogate: Any = "arctan"

    def dynamics(self, xp, state, driven, between, recurrent, last):
        v = 0.8 * state.v + driven + recurrent
        return ApartState(v, self.surrogate(xp, v - 1.0))


SPIKING = [LIF, ALIF, Dendritic, functools.partial(AdEx, resistance=300.0), OwnSpiking]
# the function is called by one line, whatever the cell
CALLED = [(b, cell) for b in backends.installed() for cell in (SPIKING if b == "torch" else [LIF])]


@pytest.mark.parametrize(
    ("backend", "cell"),
    [pytest.param(*case, marks=[pytest.mark.slow] if case[0] == "jax" else []) for case in CALLED],
)
def test_a_function_given_as_surrogate_is_the_derivative(backend, cell):
    xp = backends.get(backend, dtype="float64")
    rng = np.random.default_rng(0)
    data = 4.0 * rng.random((2, 20, 3)), rng.standard_normal((2, 20, 2))

    def gradients(surrogate):
        model = neko.Model(cell(6, surrogate=surrogate), 2, xp)
        found = neko.BPTT(neko.Evaluator(model, loss="mse"), jit=False).gradients(*data)[1]
        z = model.record(data[0])[0].z
        assert set(np.unique(z)) == {0.0, 1.0}
        return {name: xp.to_numpy(g) for name, g in found.items()}

    expected = gradients(FastSigmoid(gamma=1.0, slope=10.0))
    assert np.abs(expected["layers.0.w_in"]).max() > 1e-6
    for given in (fast_sigmoid, of_u, functools.partial(of_u, slope=10.0), "fast_sigmoid"):
        assert max_relative_error(gradients(given), expected) < 1e-12
    assert max_relative_error(gradients("arctan"), expected) > 1e-3


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("sigmoid", "surrogate 'sigmoid': expected one of"),
        (Triangular, "class .*Triangular.*: expected one of .* such as Triangular"),
        (0.5, "surrogate=0.5: expected one of neko.cells.surrogates"),
        (None, "surrogate=None: expected"),
        (lambda: 1.0, "takes .* expected a function of u"),
        (lambda xp, u, slope: u, "takes .* expected a function of u"),
        (lambda *values: values[-1], "takes .* expected a function of u"),
        (lambda xp, u: 1.0, "gives float: expected the derivative"),
        (lambda xp, u: xp.sum(u), r"gives an array \(\) of .*: expected the derivative"),
        (lambda u: u > 0.0, "gives an array .*bool: expected the derivative"),
        (lambda xp, u: xp.astype(u > 0.0, xp.dtype), "gives .* expected the derivative .* not the spike"),
        (lambda xp, u: Triangular()(xp, u), "not the spike"),
        (lambda u: 1.0 / (abs(u) - 0.6), "gives .*inf"),
    ],
)
def test_what_is_no_surrogate_is_refused(wrong, words):
    for make in (neko.LIF, neko.AdEx, neko.Dendritic):
        with pytest.raises((ValueError, TypeError), match=words):
            make(4, 2, "torch", surrogate=wrong)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Triangular, "gamma"),
        (Boxcar, "gamma"),
        (Boxcar, "width"),
        (FastSigmoid, "slope"),
        (Arctan, "alpha"),
        (Gaussian, "sigma"),
        (MultiGaussian, "scale"),
        (MultiGaussian, "height"),
    ],
)
def test_the_parameters_of_surrogates_are_looked_at(make, name):
    assert getattr(make(**{name: np.float32(2.0)}), name) == 2.0
    for wrong in (-1.0, float("nan"), "1", True, [0.5, 0.5]):
        with pytest.raises(ValueError, match=f"{name}="):
            make(**{name: wrong})
    if name in ("width", "alpha", "sigma", "scale"):
        with pytest.raises(ValueError, match=f"{name}=0.0: expected a finite value above 0"):
            make(**{name: 0.0})


# --- the public door --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda cell: cell.__name__)
def test_every_cell_has_a_constructor_at_the_door(cell):
    make = getattr(neko, cell.__name__)
    model = make([4, 3], 2, "torch", seed=1).build(5)
    assert [(type(c), c.units) for c in model.cells] == [(cell, 4), (cell, 3)]
    assert model.predict(np.ones((2, 6, 5))).shape == (2, 6, 2)
    assert make(np.int64(4), np.int32(2), "torch").cells[0].units == 4
    assert cell.__name__ in neko.__all__
    assert make.__doc__
    with pytest.raises(TypeError, match=f"{cell.__name__} has no option 'colour'"):
        make(4, 2, "torch", colour=1)


def test_a_cell_is_abstract_or_final():
    for cell in CELLS.values():
        assert not inspect.isabstract(cell)
        above = [base for base in cell.__mro__[1:] if issubclass(base, Cell)]
        assert above
        assert all(inspect.isabstract(base) for base in above), cell


def test_a_registered_cell_has_its_constructor(monkeypatch):
    """One decorator is all that a new neuron needs."""
    monkeypatch.setattr(CELLS, "_entries", dict(CELLS))
    monkeypatch.setattr(CELLS, "_about", {})
    CELLS.register("own_spiking")(OwnSpiking)
    assert neko.cells.get("own_spiking") is neko.cells.OwnSpiking is OwnSpiking
    model = neko.OwnSpiking(4, 2, "torch", surrogate="boxcar", tau_out=None)
    assert (type(model.cells[0]), model.cells[0].surrogate) == (OwnSpiking, Boxcar())
    assert "OwnSpiking" in neko.__all__
    assert "surrogate" in inspect.signature(neko.OwnSpiking).parameters
    assert pickle.loads(pickle.dumps(neko.OwnSpiking)) is neko.OwnSpiking
    with pytest.raises(AttributeError, match="OtherSpiking"):
        _ = neko.OtherSpiking


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", backends.installed())
def test_a_model_can_be_pickled_and_copied(backend, dtype):
    xp = backends.get(backend, dtype=dtype)
    model = neko.Model([ALIF(4, beta=[0.0, 0.1, 0.2, 0.3]), LIF(3, surrogate=fast_sigmoid)], 2, xp)
    assert pickle.loads(pickle.dumps(model)).params == {}
    x = 3.0 * np.random.default_rng(0).random((2, 8, 3))
    expected = model.predict(x)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert other.xp is xp
        assert np.array_equal(other.predict(x), expected)
        for name, p in other.params.items():
            assert p is not model.params[name]
            assert p.dtype == model.params[name].dtype
        other.params = dict.fromkeys(other.params)
        assert np.array_equal(model.predict(x), expected)


def test_what_things_are_can_be_read():
    model = neko.Model([ALIF(400, beta=[0.0] * 399 + [0.2], tau_m=20), LIF(3, surrogate="boxcar")], 2, "torch")
    assert repr(model) == (
        "Model([ALIF(400, tau_m=20.0, beta=(0.0, 0.0, …, 0.2)), LIF(3, surrogate=Boxcar(gamma=1.0, width=1.0))], "
        "LeakyReadout(units=2, tau_out=20.0, input_scaling=False, dt=1.0), torch float32, not built)"
    )
    weights = 5 * 400 + 400 * 400 + 400 * 3 + 3 * 3 + 3 * 2 + 2
    assert f"{weights:,} weights" in repr(model.build(5))
    assert repr(LIF(4)) == "LIF(4)"
    assert "fast_sigmoid" in repr(LIF(4, surrogate=fast_sigmoid))
    assert "leak=0.5" in repr(
        dataclass(frozen=True, eq=False)(type("Own", (Apart,), {"leak": 0.5, "__annotations__": {"leak": float}}))(2)
    )


def test_what_is_no_backend_is_named():
    for wrong in (None, math, 3):
        with pytest.raises(TypeError, match=r"backend=.*expected a backend of neko\.backend or its name"):
            neko.LIF(4, 2, wrong)
