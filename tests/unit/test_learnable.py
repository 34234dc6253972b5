"""Constants that learn: ranges, what is refused, names, files, and the rules and updates that change them."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neko
from neko import Learnable
from neko import backend as backends
from neko.cells import ALIF, LIF, AdEx, Cell
from neko.cells.learnable import bound, learnt
from neko.cells.surrogates import Triangular
from neko.devices import SoftBounds
from neko.errors import CheckpointError
from neko.models import weights as checkpoint
from neko.registry import called
from neko.runs.build import build_evaluator
from neko.runs.config import TrainConfig
from neko.verification.form import BrokenError, check_columns

RANGES = {
    "tau_m": (lambda c: (c > 0.0) & np.isfinite(c), Learnable(20.0)),
    "v_th": (lambda c: (c > 0.0) & np.isfinite(c), Learnable([0.5, 1.0, 1e-3])),
    "beta": (lambda c: (c >= 0.0) & np.isfinite(c), Learnable(0.2, per_neuron=True)),
    "tau_a": (lambda c: (c >= 50.0) & (c <= 300.0), Learnable(200.0, low=50.0, high=300.0)),
}


def model_of(**constants):
    return neko.ALIF(3, 2, backends.default(), **constants).build(2)


def moved(model, value):
    """The constants for parameters of this value, as the model tells them."""
    model.params = {
        name: model.xp.zeros_like(p) + float(value) if ".constants." in name else p for name, p in model.params.items()
    }
    return {name.removeprefix("layers.0."): c for name, c in model.constants.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_thousand_great_updates_never_leave_the_range(dtype):
    xp = backends.get(backends.default(), dtype=dtype)
    model = neko.Model(ALIF(3, **{name: constant for name, (_, constant) in RANGES.items()}), 2, xp).build(2)
    rng = np.random.default_rng(0)
    held = {name: np.zeros(p.shape) for name, p in model.params.items() if ".constants." in name}
    seen = {name: set() for name in RANGES}
    for _ in range(1000):
        for name in held:
            held[name] = held[name] + 10.0 ** rng.uniform(-2.0, 4.0) * rng.standard_normal(held[name].shape)
            model.params[name] = xp.asarray(held[name])
        for name, values in model.constants.items():
            short = name.removeprefix("layers.0.")
            assert RANGES[short][0](values).all(), (name, values)
            seen[short] |= set(values.tolist())
    assert min(map(len, seen.values())) > 2  # the control: they move


@settings(max_examples=50, deadline=None)
@given(theta=st.floats(-1e30, 1e30))
def test_the_range_holds_for_any_parameter(theta):
    model = model_of(**{name: constant for name, (_, constant) in RANGES.items()})
    for name, values in moved(model, theta).items():
        assert RANGES[name][0](values).all(), (name, values)


@pytest.mark.parametrize("name", RANGES)
def test_a_constant_grows_with_its_parameter_from_its_first_value(name):
    constant = RANGES[name][1]
    model = model_of(**{name: constant})
    (first,) = model.constants.values()
    np.testing.assert_allclose(first, np.broadcast_to(constant.value, first.shape), rtol=2e-6)
    assert first.shape == ((3,) if constant.per_neuron else (1,))
    values = [moved(model, theta)[name] for theta in (-2.0, -0.5, 0.0, 0.5, 2.0)]
    assert (np.diff(values, axis=0) > 0.0).all()


def test_the_four_maps_are_those_of_the_documentation():
    model = model_of(tau_m=Learnable(20.0), beta=Learnable(0.2), tau_a=Learnable(200.0, low=50.0, high=300.0))
    found = moved(model, 0.7)
    np.testing.assert_allclose(found["tau_m"], 20.0 * np.exp(0.7), rtol=1e-6)
    np.testing.assert_allclose(found["beta"], np.log1p(np.exp(0.7 + np.log(np.expm1(0.2)))), rtol=1e-6)
    odds = np.exp(0.7) * 150.0 / 100.0
    np.testing.assert_allclose(found["tau_a"], 50.0 + 250.0 * odds / (1.0 + odds), rtol=1e-6)
    np.testing.assert_allclose(learnt(AdEx(2, resistance=Learnable(-3.0)))["resistance"].value, -3.0)


def test_first_values_may_be_spread_by_equal_factors():
    cell = LIF(5, tau_m=Learnable(20.0, spread=4.0))
    np.testing.assert_allclose(cell.tau_m.value, [5.0, 10.0, 20.0, 40.0, 80.0])
    assert cell.tau_m.per_neuron
    assert replace(cell, detach_reset=True).tau_m == cell.tau_m  # the copy that e-prop differentiates
    assert [c.tau_m.shape(c.units) for c in neko.LIF([2, 3], 2, "torch", tau_m=Learnable(20.0, spread=4.0)).cells] == [
        (2,),
        (3,),
    ]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LIF(3, t_ref=Learnable(2.0)), TypeError, "t_ref=.* cannot learn: it sets a number of steps"),
        (lambda: LIF(3, dt=Learnable(1.0)), TypeError, "dt=.* cannot learn"),
        (lambda: LIF(3, reset=Learnable(1.0)), ValueError, "reset=Learnable"),
        (lambda: LIF(3, recurrent=Learnable(1.0)), TypeError, "expected True or False"),
        (lambda: Triangular(gamma=Learnable(0.3)), TypeError, "gamma=.* cannot learn: it is not a constant of neurons"),
        (lambda: neko.LIF(3, 2, "torch", tau_out=Learnable(5.0)), TypeError, "tau_out=.* cannot learn"),
        (lambda: LIF(3, tau_m=Learnable(-1.0)), ValueError, "tau_m=-1.0: expected a finite value above 0"),
        (lambda: LIF(3, tau_m=Learnable([1.0, 2.0])), ValueError, "tau_m has 2 entries"),
        (
            lambda: LIF(3, tau_m=Learnable(5.0, low=0.0, high=9.0)),
            ValueError,
            "tau_m=0.0: expected a finite",
        ),
        (lambda: LIF(3, tau_m=Learnable(5.0, low=5.0, high=9.0)), ValueError, "expected low < value < high"),
        (lambda: ALIF(3, beta=Learnable([0.0, 0.1, 0.2])), ValueError, "expected first values above 0"),
        (lambda: AdEx(3, v_t=Learnable(-50.0)), ValueError, "for all values of one that learns: give it low"),
        (lambda: AdEx(3, v_t=Learnable(-50.0, low=-60.0, high=-39.0)), ValueError, "expected e_l < v_t < v_peak"),
        (lambda: Learnable("5"), ValueError, "expected a finite first value"),
        (lambda: Learnable(float("nan")), ValueError, "expected a finite first value"),
        (lambda: Learnable(True), ValueError, "expected a finite first value"),
        (lambda: Learnable(5.0, low=1.0), ValueError, "expected two finite numbers, or neither"),
        (lambda: Learnable(5.0, spread=0.5), ValueError, "expected a factor above 1"),
        (lambda: Learnable([5.0, 6.0], spread=2.0), ValueError, "expected a factor above 1"),
    ],
)
def test_what_cannot_learn_is_refused_with_the_reason(make, error, words):
    with pytest.raises(error, match=words):
        make()


class OwnState(NamedTuple):
    v: Any


@dataclass(frozen=True, eq=False)
class Own(Cell):
    """A user's cell whose one constant is a plain field."""

    State = OwnState
    speed: float = 0.5

    def dynamics(self, xp, state, current):
        return OwnState(state.v + self.speed * (current - state.v))


def test_a_plain_field_of_a_users_cell_learns():
    model = neko.Model(Own(3, speed=Learnable(0.5, low=0.0, high=1.0)), 2, "torch").build(2)
    assert set(model.constants) == {"layers.0.speed"}
    x, y = np.ones((4, 6, 2)), np.zeros((4, 6, 2))
    rule = neko.Eprop(neko.Evaluator(model, loss="mse"))
    rule.step(x, y)
    assert model.constants["layers.0.speed"] != 0.5


def test_a_cell_outside_of_a_network_has_no_value_for_its_constant():
    xp = backends.get("torch")
    cell = LIF(3, tau_m=Learnable(20.0))
    state, current = cell.initial_state(xp, 1), xp.ones((1, 3))
    with pytest.raises(TypeError, match=r"Learnable\(20.0\) has a value in a network only"):
        cell.dynamics(xp, state, current)
    after = bound(xp, cell, [xp.zeros((1,))]).dynamics(xp, state, current)
    assert (after.v == LIF(3, tau_m=20.0).dynamics(xp, state, current).v).all()


class Leaking(Own):
    """Wrong: the speed of a neuron depends on that of all."""

    def dynamics(self, xp, state, current):
        return OwnState(state.v + xp.mean(self.speed, axis=-1, keepdims=True) * (current - state.v))


def test_constants_too_hold_the_column_law():
    xp = backends.get(backends.default(), dtype="float64")
    with xp.scope():
        check_columns(xp, Own(4, speed=Learnable(0.5)), 1.0, 0)
        with pytest.raises(BrokenError, match="depends on speed of neuron 2"):
            check_columns(xp, Leaking(4, speed=Learnable(0.5)), 1.0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [Own(4, speed=Learnable(0.5)), ALIF(4, tau_m=Learnable(20.0), beta=Learnable(0.2))])
def test_a_cell_whose_constants_learn_is_verified_as_any_other(cell):
    report = neko.verify(cell)
    assert report.ok, report


def test_what_is_shown_and_what_is_the_identity():
    cell = ALIF(9, tau_m=Learnable(20.0), beta=Learnable(0.2, per_neuron=True), v_th=Learnable(1.0, low=0.5, high=2.0))
    assert repr(cell) == (
        "ALIF(9, tau_m=Learnable(20.0), v_th=Learnable(1.0, low=0.5, high=2.0), beta=Learnable(0.2, per_neuron=True))"
    )
    text = repr(LIF(9, tau_m=Learnable(20.0, spread=2.0)))
    assert text.startswith("LIF(9, tau_m=Learnable((10.0, 11.89207")
    assert text.endswith("…, 40.0)))")
    kinds = [
        20.0,
        Learnable(20.0),
        Learnable(20.0, per_neuron=True),
        Learnable(20.0, low=1.0, high=90.0),
        Learnable(9.0),
    ]
    described = [neko.LIF(4, 2, "torch", tau_m=kind).identity() for kind in kinds]
    assert all(a != b for i, a in enumerate(described) for b in described[:i])
    assert described[1] == neko.LIF(4, 2, "torch", tau_m=Learnable(20.0)).identity()


def trained(rule=neko.Eprop, steps=3, **options):
    model = neko.Evaluator(neko.ALIF(4, 2, backends.default(), tau_m=Learnable(20.0), beta=Learnable(0.2)), loss="mse")
    learner = rule(model, **options)
    rng = np.random.default_rng(0)
    x, y = (rng.random((8, 9, 3)) < 0.5).astype(float), rng.standard_normal((8, 9, 2))
    for _ in range(steps):
        learner.step(x, y)
    return learner, (x, y)


def test_constants_are_kept_in_files_and_copies(tmp_path):
    learner, (x, _) = trained(learning_rate=0.05)
    model = learner.model.model
    assert all(abs(c - first) > 1e-3 for c, first in zip(model.constants.values(), (20.0, 0.2), strict=True))
    path = checkpoint.save_weights(model, tmp_path / "weights")
    fresh = neko.ALIF(4, 2, backends.default(), tau_m=Learnable(20.0), beta=Learnable(0.2))
    checkpoint.load_weights(fresh, path)
    for other in (fresh, model.clone(), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(x), model.predict(x))
        assert {name: c.tolist() for name, c in other.constants.items()} == {
            name: c.tolist() for name, c in model.constants.items()
        }
    # Another first value makes another constant of the same parameter.
    for cell in ({"tau_m": Learnable(9.0), "beta": Learnable(0.2)}, {"tau_m": 20.0, "beta": Learnable(0.2)}):
        with pytest.raises(CheckpointError, match="tau_m"):
            checkpoint.load_weights(neko.ALIF(4, 2, backends.default(), **cell), path)
    checkpoint.load_weights(
        neko.ALIF(4, 2, backends.default(), tau_m=Learnable(9.0), beta=Learnable(0.2)), path, changed=("tau_m",)
    )


def test_training_that_is_resumed_is_the_one_that_went_on(tmp_path):
    def run(epochs, **options):
        model = neko.Evaluator(neko.LIF(4, 2, backends.default(), tau_m=Learnable(20.0, spread=2.0)), loss="mse")
        rng = np.random.default_rng(0)
        x, y = (rng.random((8, 9, 3)) < 0.5).astype(float), rng.standard_normal((8, 9, 2))
        trainer = neko.Trainer(neko.Eprop(model, optimizer="adam"))
        trainer.train(x, y, epochs=epochs, batch_size=4, progress=False, **options)
        return model.model

    whole = run(4)
    run(2, callbacks=[neko.Checkpoints(tmp_path)])
    resumed = run(4, resume=tmp_path)
    for name, p in whole.params.items():
        np.testing.assert_array_equal(whole.xp.to_numpy(p), whole.xp.to_numpy(resumed.params[name]), err_msg=name)


@pytest.mark.parametrize("rule", [neko.BPTT, neko.Eprop, neko.RTRL])
@pytest.mark.parametrize(
    "optimizer", ["adam", "sgd", neko.Manhattan(), neko.Manhattan(device=SoftBounds(), seed=3)], ids=str
)
def test_every_update_moves_them_within_their_range(rule, optimizer):
    """Pulses of devices too: a pair stores θ, which is 0 at first, between -1 and 1."""
    options = {"optimizer": optimizer} | ({} if isinstance(optimizer, neko.Manhattan) else {"learning_rate": 0.05})
    learner, _ = trained(rule, **options)
    tau, beta = (learner.model.model.constants[f"layers.0.{name}"] for name in ("tau_m", "beta"))
    assert tau > 0.0
    assert beta > 0.0
    assert tau != 20.0
    assert beta != np.float32(0.2)
    if getattr(optimizer, "device", None):
        assert 20.0 / np.e <= tau <= 20.0 * np.e


def test_a_comparison_and_a_sampler_take_them():
    learner, (x, y) = trained(steps=1)
    comparison = neko.GradientComparison(neko.BPTT(learner.model), ["eprop"])
    neko.Trainer(comparison).train(x, y, epochs=1, progress=False)
    assert "layers.0.constants.tau_m" in {row["tensor"] for row in comparison.records}
    summed = neko.Evaluator(learner.model.model, loss="mse", reduction="sum")
    before = summed.model.constants["layers.0.tau_m"]
    neko.Trainer(neko.Langevin(summed, drift="bptt", warmup=0)).train(x, y, epochs=6, progress=False)
    assert 0.0 < summed.model.constants["layers.0.tau_m"] != before


def test_the_threshold_that_is_drawn_is_the_present_one():
    learning = neko.ALIF(4, 2, "torch", v_th=Learnable(1.0, per_neuron=True), beta=Learnable(0.2), seed=2).build(3)
    for name, p in learning.params.items():
        learning.params[name] = p - 0.5 if ".constants." in name else 2.0 * p
    values = {name: learning.constants[f"layers.0.{name}"] for name in ("v_th", "beta")}
    plain = neko.ALIF(4, 2, "torch", v_th=values["v_th"], beta=float(values["beta"][0])).build(3)
    plain.params = {name: p for name, p in learning.params.items() if ".constants." not in name}
    x = np.random.default_rng(0).random((30, 3))
    shown, expected = (
        neko.plots.overview({"a": {"loss": [1.0]}}, model, x, "loss").axes[2].lines for model in (learning, plain)
    )
    assert len(shown) == len(expected) > 2
    for a, b in zip(shown, expected, strict=True):
        np.testing.assert_allclose(a.get_xydata(), b.get_xydata(), rtol=1e-5)


@pytest.mark.skipif("jax" not in backends.installed(), reason="kernels on JAX have constants that do not change")
def test_kernels_of_jax_say_that_constants_learn():
    (offer,) = neko.LIF(4, 2, "jax", tau_m=Learnable(20.0)).kernels
    assert not offer.generated
    assert offer.reason == "constants learn: tau_m"


def test_a_cell_in_text_may_have_constants_that_learn():
    class Digits:
        outputs, task_type = 2, "classification"

    def cell_of(text):
        return build_evaluator(TrainConfig(cell=text, hidden=4, backend=backends.default()), Digits()).model.cells[0]

    found = learnt(cell_of("alif(tau_m=learnable(20.0), beta=learnable(0.2, per_neuron=True), v_th=0.7)"))
    assert found["tau_m"].value == 20.0
    assert found["beta"].per_neuron
    assert set(found) == {"tau_m", "beta"}
    with pytest.raises(ValueError, match="expected name"):
        called("alif(tau_m=learnable(20.0))")
    with pytest.raises(ValueError, match="expected a factor above 1"):
        cell_of("alif(tau_m=learnable(20.0, spread=0.5))")
    with pytest.raises(ValueError, match="expected name"):
        cell_of("alif(tau_m=exit(20.0))")
