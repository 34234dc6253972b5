"""The Manhattan rule: by the sign, with its dead zone, gathered, and through devices."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko import updates
from neko.devices import ConstantStep, DifferentialPair, LinearStep, SoftBounds
from neko.updates import Manhattan

START = {"b": np.zeros(3), "w": np.array([[0.5, -0.2, 0.1], [0.3, 0.0, -0.4]])}
GRADIENTS = {"b": np.array([1.0, 0.0, -2.0]), "w": np.array([[0.02, -3.0, 0.0], [1e-9, 5.0, -0.5]])}


@functools.cache
def update_of(xp, rule, compiled):
    """A bound update and its step, compiled once for all tests of the rule."""
    scheduled = updates.resolve(xp, rule)
    return scheduled, xp.jit(scheduled.update.step) if compiled else scheduled.update.step


def run(xp, rule, *, steps=1, gradients=GRADIENTS, compiled=True):
    """Parameters after some steps with one gradient, the state, and the bound update."""
    scheduled, step = update_of(xp, rule, compiled)
    params = {name: xp.asarray(p) for name, p in START.items()}
    state = scheduled.update.init(params)
    arrays = {name: xp.asarray(g) for name, g in gradients.items()}
    for t in range(steps):
        params, state = step(params, arrays, state, xp.asarray(scheduled.rate(t)))
    return {name: np.array(xp.to_numpy(p)) for name, p in params.items()}, state, scheduled


def test_it_equals_sign_descent_of_the_framework_bit_for_bit(xp):
    found, _, _ = run(xp, Manhattan(delta=0.03), steps=4)
    signs = {name: np.sign(g) for name, g in GRADIENTS.items()}
    sgd = updates.resolve(xp, "sgd", 0.03).update
    params = {name: xp.asarray(p) for name, p in START.items()}
    state = sgd.init(params)
    for _ in range(4):
        params, state = sgd.step(params, {n: xp.asarray(s) for n, s in signs.items()}, state, xp.asarray(0.03))
    for name, start in START.items():
        assert np.array_equal(found[name], xp.to_numpy(params[name]))
        assert np.array_equal(found[name] == start, GRADIENTS[name] == 0.0), "only a zero gradient moves nothing"


def test_delta_may_follow_a_schedule(xp):
    found, _, _ = run(xp, Manhattan(delta=updates.Exponential(0.1, 0.5, 1)), steps=3)
    np.testing.assert_allclose(found["b"], [-0.175, 0.0, 0.175])


def test_the_dead_zone_moves_nothing(xp):
    found, _, _ = run(xp, Manhattan(delta=0.1, dead_zone=0.5))
    moved = {name: found[name] != start for name, start in START.items()}
    assert all(np.array_equal(moved[name], np.abs(GRADIENTS[name]) > 0.5) for name in START)


def test_gathered_gradients_make_one_step_by_the_sign_of_their_sum(xp):
    rule = Manhattan(delta=0.1, accumulate=3)
    for steps, moves in ((2, 0), (3, 1), (5, 1), (6, 2)):
        found, _, _ = run(xp, rule, steps=steps)
        np.testing.assert_allclose(found["b"], [-0.1 * moves, 0.0, 0.1 * moves])
    update = updates.resolve(xp, Manhattan(delta=0.1, accumulate=2)).update
    params = {"b": xp.zeros((2,))}
    state = update.init(params)
    for g in ([1.0, -1.0], [-3.0, 1.0]):
        params, state = update.step(params, {"b": xp.asarray(np.array(g))}, state, xp.asarray(0.1))
    np.testing.assert_allclose(xp.to_numpy(params["b"]), [0.1, 0.0])


@pytest.mark.quick("torch")
def test_without_noise_and_away_from_bounds_a_device_is_the_plain_rule(xp):
    """The paper's material: a pulse moves a weight by 2 Δ w_max / (g_max - g_min)."""
    device = ConstantStep(g_min=0.0, g_max=1e-3, dg_min=1e-6)
    found, state, scheduled = run(xp, Manhattan(device=device, w_max=2.0), steps=5)
    plain, _, _ = run(xp, Manhattan(delta=2 * 1e-6 * 2.0 / 1e-3), steps=5)
    for name in START:
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-10, atol=1e-13)
    nonzero = np.mean([g != 0 for group in GRADIENTS.values() for g in group.ravel()])
    assert scheduled.update.report(state) == {"pulses": pytest.approx(5 * nonzero), "at_bounds": 0.0}
    g = scheduled.update.conductances(state)
    assert g["w"]["g⁺"].shape == (2, 3)
    np.testing.assert_allclose((g["w"]["g⁺"] - g["w"]["g⁻"]) * 2.0 / 1e-3, found["w"], rtol=1e-9, atol=1e-12)


@pytest.mark.quick("torch")
def test_a_noisy_device_is_not_moved_by_a_zero_gradient(xp):
    device = SoftBounds(dg_min_std=0.5, dg_min_dtod=0.3, up_down=0.2)
    rule = Manhattan(device=device, w_max=1.0, seed=4)
    zero = {name: 0.0 * g for name, g in GRADIENTS.items()}
    once, _, _ = run(xp, rule, gradients=zero)
    often, state, scheduled = run(xp, rule, steps=6, gradients=zero)
    assert all(np.array_equal(once[name], often[name]) for name in START)
    assert scheduled.update.report(state)["pulses"] == 0.0
    moved, _, _ = run(xp, rule, steps=6)
    assert not np.array_equal(moved["w"], once["w"])


@pytest.mark.quick("torch")
def test_the_same_seed_gives_the_same_device_and_compiling_changes_nothing(xp):
    device = SoftBounds(dg_min_std=0.5, dg_min_dtod=0.3)
    found, _, _ = run(xp, Manhattan(device=device, seed=4), steps=3)
    same, _, _ = run(xp, Manhattan(device=device, seed=4), steps=3, compiled=False)
    other, _, _ = run(xp, Manhattan(device=device, seed=5), steps=3)
    for name in START:
        np.testing.assert_allclose(found[name], same[name], rtol=1e-12, atol=1e-15)
    assert not np.array_equal(found["w"], other["w"])


def test_weights_begin_within_half_of_their_devices_range(xp):
    found, _, _ = run(xp, Manhattan(device=ConstantStep(g_min=0.0, g_max=1e-3, dg_min=1e-3)), steps=9)
    # a step of the whole range takes every weight to a bound: twice the largest of its tensor, 1 for zeros
    np.testing.assert_allclose(np.abs(found["w"][GRADIENTS["w"] != 0]), 1.0)
    np.testing.assert_allclose(found["b"], [-1.0, 0.0, 1.0], atol=1e-12)


def test_weights_that_change_between_steps_are_written_into_the_devices(xp):
    rule = Manhattan(device=ConstantStep(g_min=0.0, g_max=1e-3, dg_min=1e-5), w_max=1.0)
    update = updates.resolve(xp, rule).update
    w = xp.asarray(np.array([0.3, -0.2, 0.9]))
    state = update.init({"w": w})
    zero, rate = {"w": xp.zeros((3,))}, xp.asarray(0.0)
    same, state = update.step({"w": w}, zero, state, rate)
    decayed, state = update.step({"w": 0.5 * same["w"]}, zero, state, rate)
    np.testing.assert_allclose(xp.to_numpy(decayed["w"]), [0.15, -0.1, 0.45], rtol=1e-9)
    too_large, _ = update.step({"w": 4.0 * decayed["w"]}, zero, state, rate)
    np.testing.assert_allclose(xp.to_numpy(too_large["w"]), [0.6, -0.4, 1.0], rtol=1e-9)


DEVICES = {
    "constant": ConstantStep(),
    "soft bounds": SoftBounds(dg_min_std=0.4, dg_min_dtod=0.9, up_down=0.3, g_max_dtod=0.4),
    "linear": LinearStep(gamma_up=-0.6, gamma_down=0.3, dg_min_dtod=2.0, g_max_dtod=1.0),
}
"""Spreads so wide that some devices are stuck, and some have no range at all."""


# what is written reads the bounds of a device only, so that one device a compiler is enough
WRITTEN = [("torch", name) for name in DEVICES] + [(b, "linear") for b in backends.installed() if b != "torch"]


@pytest.mark.quick("torch")
@pytest.mark.parametrize(("backend", "name"), WRITTEN)
def test_changes_far_below_a_pulse_add_up(backend, name):
    """A decay of 1e-5 a step in single precision, where a conductance of 1e-3 S has steps of 1.2e-10 S."""
    xp = backends.get(backend)
    with xp.scope():
        update = updates.resolve(xp, Manhattan(device=DEVICES[name], w_max=1.0)).update
        w = {"w": xp.asarray(np.array([0.3, -0.2, 0.05, 1e-3, 0.0], np.float32))}
        held, state = update.hold(w, update.init(w))
        start = xp.to_numpy(held["w"])
        zero, rate = {"w": xp.zeros((5,))}, xp.asarray(0.0)

        def step(params, state, factor):
            return update.step({"w": factor * params["w"]}, zero, state, rate)

        step = xp.jit(step)
        for _ in range(100):
            held, state = step(held, state, xp.scalar(0.99999))
        expected = float(np.float32(0.99999)) ** 100 * start.astype(np.float64)
        assert np.abs(start - expected)[[0, 3]].min() > 9e-7
        # Half a step of single precision of both conductances, times the 500 per siemens of these devices; and the
        # rounding of each product.
        before = np.array(xp.to_numpy(held["w"]))
        np.testing.assert_allclose(before, expected, rtol=5e-6, atol=2e-7)
        for _ in range(20):
            held, state = step(held, state, xp.scalar(1.0))
        assert np.array_equal(xp.to_numpy(held["w"]), before), "nobody changed them"


@pytest.mark.quick("torch")
@pytest.mark.parametrize(("backend", "name"), WRITTEN)
def test_a_write_goes_as_far_as_the_bounds_of_both_devices(backend, name):
    xp = backends.get(backend, dtype="float64")
    with xp.scope():
        check_writes(xp, name)


def check_writes(xp, name):
    n, w_max = 400, 0.7
    rng = np.random.default_rng(5)
    pair = DifferentialPair(DEVICES[name])
    state = pair.program(xp, xp.random.key(1), xp.asarray(rng.uniform(-1.0, 1.0, n)), w_max)

    def held_and_bounds(state):
        plus, minus = state.devices
        arrays = [xp.to_numpy(a) for a in (plus.lower, plus.upper, minus.lower, minus.upper, plus.g, minus.g)]
        factor = w_max / (DEVICES[name].g_max - DEVICES[name].g_min)
        low, high, held = arrays[0] - arrays[3], arrays[1] - arrays[2], arrays[4] - arrays[5]
        return xp.to_numpy(state.held), factor * low, factor * high, factor * held

    for target in (rng.uniform(-1.0, 1.0, n), rng.uniform(-0.2, 0.2, n), np.zeros(n), np.full(n, 5.0), -np.ones(n)):
        written = pair.write(xp, state, xp.asarray(target))
        held, low, high, read = held_and_bounds(written)
        np.testing.assert_allclose(held, np.clip(target, low, high), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(held, read, rtol=1e-11, atol=1e-13)
        fresh = pair.program(xp, xp.random.key(1), xp.asarray(target), w_max)
        np.testing.assert_allclose(xp.to_numpy(fresh.held), held, rtol=1e-11, atol=1e-13)
        state = written
        for t in range(30):  # pulses take one device of many a pair to its bound
            state = pair.pulse(xp, xp.random.key(t), state, xp.asarray(np.where(np.arange(n) % 3, 1.0, -1.0)))
        g, bound = xp.to_numpy(state.devices[0].g), xp.to_numpy(state.devices[0].upper)
        assert (g < bound).any()


@pytest.mark.quick("torch")
@pytest.mark.parametrize("backend", backends.installed())
def test_a_forward_pass_uses_the_weights_that_the_devices_hold(backend):
    rng = np.random.default_rng(0)
    x, y = 5.0 * rng.random((4, 6, 3)), np.eye(2)[[0, 1, 0, 0]]

    def evaluator():
        return neko.Evaluator(neko.LIF(6, 2, backend, seed=2), loss="categorical_crossentropy")

    def loss_of(weights):
        model = evaluator()
        model.build(x)
        model.params = {name: model.xp.asarray(w) for name, w in weights.items()}
        return model.evaluate(x, y)["loss"]

    first = evaluator()
    first.build(x)
    drawn = {name: np.array(first.xp.to_numpy(w)) for name, w in first.params.items()}
    clipped = {name: np.clip(w, -0.3, 0.3) for name, w in drawn.items()}
    expected = loss_of(clipped)
    assert abs(loss_of(drawn) - expected) > 1e-3
    rule = neko.Eprop(first, mode="adaptive", optimizer=Manhattan(device=ConstantStep(), w_max=0.3))
    assert float(rule.gradients(x, y)[0]) == pytest.approx(expected, rel=1e-5)
    for name, w in first.params.items():
        np.testing.assert_allclose(first.xp.to_numpy(w), clipped[name], atol=1e-6)
    assert np.abs(first.xp.to_numpy(rule.feedback["feedback.0"])).max() <= 0.3 + 1e-6
    assert rule.step(x, y)["loss"] == pytest.approx(expected, rel=1e-5)
    # set from outside, later on
    first.params = {name: first.xp.asarray(3.0 * w) for name, w in drawn.items()}
    expected = loss_of({name: np.clip(3.0 * w, -0.3, 0.3) for name, w in drawn.items()})
    assert float(rule.gradients(x, y)[0]) == pytest.approx(expected, rel=1e-5)
    assert rule.step(x, y)["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_change_in_place_is_written_too():
    x, y = np.zeros((2, 5, 3)), np.eye(2)
    model = neko.Evaluator(neko.LIF(6, 2, "torch"), loss="categorical_crossentropy")
    rule = neko.BPTT(model, optimizer=Manhattan(device=ConstantStep(), w_max=1.0))
    rule.step(x, y)
    model.params["layers.0.w_in"][:] = 0.123  # without spikes it has no gradient
    rule.step(x, y)
    plus, minus = rule.update.conductances(rule.update_state)["layers.0.w_in"].values()
    np.testing.assert_allclose((plus - minus) / (2e-3 - 1e-6), 0.123, rtol=1e-5)
    np.testing.assert_allclose(model.params["layers.0.w_in"].numpy(), 0.123, rtol=1e-5)


def test_the_papers_names_are_the_usual_compositions():
    x, y = 5.0 * np.random.default_rng(0).random((4, 5, 3)), np.eye(2)[[0, 1, 0, 0]]
    model = neko.Evaluator(neko.LIF(6, 2, "torch"), loss="categorical_crossentropy")
    rule = neko.ManhattanRule(model, delta=0.01, dead_zone=1e-12)
    rule.step(x, y)
    start = {name: p.clone() for name, p in model.params.items()}
    rule.step(x, y)
    moves = {round(float(v), 6) for name, p in model.params.items() for v in (p - start[name]).abs().ravel()}
    assert moves == {0.0, 0.01}
    material = neko.ManhattanMaterialRule(model, SoftBounds(dg_min_std=0.1), gradient=neko.Eprop)
    history = neko.Trainer(material).train(x, y, epochs=2, progress=False)
    assert history["pulses"][1] > history["pulses"][0] > 0.0
    assert neko.ManhattanMaterialRule(model).update.rule.device == ConstantStep(g_min=1e-6, g_max=2e-3, dg_min=1e-5)


def test_numpys_numbers_are_pythons():
    """A scalar of NumPy would bring its own precision into a framework's operations."""
    device = SoftBounds(
        g_min=np.float32(0),
        g_max=np.float64(2e-3),
        dg_min=np.float32(1e-5),
        dg_min_std=np.int64(0),
        pulse_energy=np.float32(1e-12),
        pulse_time=np.float64(1e-6),
    )
    rule = Manhattan(
        device=device,
        w_max=np.float32(1.5),
        dead_zone=np.float64(0.0),
        accumulate=np.int64(2),
        seed=np.uint8(3),
    )
    schedules = updates.Cosine(np.float32(0.5), np.int64(10)), updates.Exponential(np.float32(0.5), np.float64(0.5), 9)
    plain = [v for name, v in vars(device).items() if name != "imperfections"]
    plain += [*(v for s in schedules for v in vars(s).values())]
    plain += [rule.w_max, rule.dead_zone, rule.accumulate, rule.seed, Manhattan(delta=np.float32(0.5)).delta]
    assert {type(v) for v in plain} <= {int, float}
    assert (rule.w_max, rule.accumulate, rule.seed, schedules[0](0)) == (1.5, 2, 3, 0.5)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: Manhattan(delta=0.1, device=SoftBounds()), ValueError, "delta=0.1: with a device"),
        (lambda: Manhattan(w_max=1.0), ValueError, "w_max=1.0"),
        (lambda: Manhattan(dead_zone=-1.0), ValueError, "dead_zone=-1.0"),
        (lambda: Manhattan(accumulate=0), ValueError, "accumulate=0"),
        (lambda: Manhattan(device="soft_bounds"), TypeError, "expected a Device"),
        (lambda: Manhattan(delta=-1.0), ValueError, "delta=-1.0"),
        (lambda: Manhattan(delta=True), ValueError, "delta=True"),
        (lambda: Manhattan(dead_zone=float("nan")), ValueError, "dead_zone=nan"),
        (lambda: Manhattan(device=SoftBounds(), w_max=True), ValueError, "w_max=True"),
        (lambda: updates.resolve(None, Manhattan(), 0.1), ValueError, "has its own"),
    ],
)
def test_a_wrong_option_is_named(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()
