"""The Manhattan rule: by the sign, with its dead zone, gathered, and through devices."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko import updates
from neko.devices import ConstantStep, SoftBounds
from neko.updates import Manhattan

START = {"b": np.zeros(3), "w": np.array([[0.5, -0.2, 0.1], [0.3, 0.0, -0.4]])}
GRADIENTS = {"b": np.array([1.0, 0.0, -2.0]), "w": np.array([[0.02, -3.0, 0.0], [1e-9, 5.0, -0.5]])}


def run(xp, rule, *, steps=1, gradients=GRADIENTS, compiled=True):
    """Parameters after some steps with one gradient, the state, and the bound update."""
    scheduled = updates.resolve(xp, rule)
    params = {name: xp.asarray(p) for name, p in START.items()}
    state = scheduled.init(params)
    step = xp.jit(scheduled.step) if compiled else scheduled.step
    arrays = {name: xp.asarray(g) for name, g in gradients.items()}
    for t in range(steps):
        params, state = step(params, arrays, state, xp.asarray(scheduled.rate(t)))
    return {name: np.array(xp.to_numpy(p)) for name, p in params.items()}, state, scheduled


def test_it_equals_sign_descent_of_the_framework_bit_for_bit(xp):
    found, _, _ = run(xp, Manhattan(delta=0.03), steps=4)
    signs = {name: np.sign(g) for name, g in GRADIENTS.items()}
    sgd = updates.resolve(xp, "sgd", 0.03)
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
    scheduled = updates.resolve(xp, Manhattan(delta=0.1, accumulate=2))
    params = {"b": xp.zeros((2,))}
    state = scheduled.init(params)
    for g in ([1.0, -1.0], [-3.0, 1.0]):
        params, state = scheduled.step(params, {"b": xp.asarray(np.array(g))}, state, xp.asarray(0.1))
    np.testing.assert_allclose(xp.to_numpy(params["b"]), [0.1, 0.0])


def test_without_noise_and_away_from_bounds_a_device_is_the_plain_rule(xp):
    """The paper's material: a pulse moves a weight by 2 Δ w_max / (g_max - g_min)."""
    device = ConstantStep(g_min=0.0, g_max=1e-3, dg_min=1e-6)
    found, state, scheduled = run(xp, Manhattan(device=device, w_max=2.0), steps=5)
    plain, _, _ = run(xp, Manhattan(delta=2 * 1e-6 * 2.0 / 1e-3), steps=5)
    for name in START:
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-10, atol=1e-13)
    nonzero = np.mean([g != 0 for group in GRADIENTS.values() for g in group.ravel()])
    assert scheduled.report(state) == {"pulses": pytest.approx(5 * nonzero), "at_bounds": 0.0}
    g = scheduled.update.conductances(state)
    assert g["w"][0].shape == (2, 3)
    np.testing.assert_allclose((g["w"][0] - g["w"][1]) * 2.0 / 1e-3, found["w"], rtol=1e-9, atol=1e-12)


def test_a_noisy_device_is_not_moved_by_a_zero_gradient(xp):
    device = SoftBounds(dg_min_std=0.5, dg_min_dtod=0.3, up_down=0.2)
    rule = Manhattan(device=device, w_max=1.0, seed=4)
    zero = {name: 0.0 * g for name, g in GRADIENTS.items()}
    once, _, _ = run(xp, rule, gradients=zero)
    often, state, scheduled = run(xp, rule, steps=6, gradients=zero)
    assert all(np.array_equal(once[name], often[name]) for name in START)
    assert scheduled.report(state)["pulses"] == 0.0
    moved, _, _ = run(xp, rule, steps=6)
    assert not np.array_equal(moved["w"], once["w"])


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
    assert neko.ManhattanMaterialRule(model).update.update.rule.device == ConstantStep(
        g_min=1e-6, g_max=2e-3, dg_min=1e-5
    )


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: Manhattan(delta=0.1, device=SoftBounds()), ValueError, "delta=0.1: with a device"),
        (lambda: Manhattan(w_max=1.0), ValueError, "w_max=1.0"),
        (lambda: Manhattan(dead_zone=-1.0), ValueError, "dead_zone=-1.0"),
        (lambda: Manhattan(accumulate=0), ValueError, "accumulate=0"),
        (lambda: Manhattan(device="soft_bounds"), TypeError, "expected a Device"),
        (lambda: updates.resolve(None, Manhattan(delta=-1.0)), ValueError, "learning_rate=-1.0"),
        (lambda: updates.resolve(None, Manhattan(), 0.1), ValueError, "brings its own"),
    ],
)
def test_a_wrong_option_is_named(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()
