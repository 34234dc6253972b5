"""Updates against the formulas of the papers, in NumPy, on every backend."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from neko import backend as backends
from neko import updates

NAMES = ("sgd", "momentum", "nesterov", "adam", "adamw", "adamax", "rmsprop", "adagrad")
STEPS = 8
RATE = 0.03
# Keras rounds its constants (0.9, 0.999, …) to float32 and has its own place for epsilon.
TOLERANCE = {"torch": 1e-13, "jax": 1e-13, "tensorflow": 2e-6}


def problem(scale=1.0):
    """Parameters, and a gradient for each of a few steps, away from 0."""
    rng = np.random.default_rng(7)
    params = {"layers.0.w_in": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}

    def gradient(shape):
        return scale * rng.uniform(0.2, 2.0, size=shape) * rng.choice([-1.0, 1.0], size=shape)

    return params, [{name: gradient(p.shape) for name, p in params.items()} for _ in range(STEPS)]


def expected(name, w, gradients, rates):
    """The trajectory of one array, from the formulas."""
    m, v, u, path = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), []
    s = np.full_like(w, 0.1)
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        if name == "sgd":
            change = g
        elif name in ("momentum", "nesterov"):
            m = 0.9 * m + g
            change = m if name == "momentum" else g + 0.9 * m
        elif name in ("adam", "adamw"):
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            change = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
            change = change + 0.01 * w if name == "adamw" else change
        elif name == "adamax":
            m, u = 0.9 * m + 0.1 * g, np.maximum(0.999 * u, np.abs(g) + 1e-8)
            change = m / (1 - 0.9**t) / u
        elif name == "rmsprop":
            v = 0.99 * v + 0.01 * g**2
            change = g / (np.sqrt(v) + 1e-8)
        elif name == "adagrad":
            s = s + g**2
            change = g / np.sqrt(s)
        w = w - rate * change
        path.append(w)
    return path


def run(xp, update, *, compiled=True, scale=1.0):
    """Parameters after each step, as NumPy arrays."""
    start, gradients = problem(scale)
    with xp.scope():
        params = {name: xp.asarray(p) for name, p in start.items()}
        state = update.update.init(params)
        step = xp.jit(update.update.step) if compiled else update.update.step
        path = []
        for t, g in enumerate(gradients):
            g = {name: xp.asarray(a) for name, a in g.items()}
            params, state = step(params, g, state, xp.asarray(update.rate(t)))
            path.append(params)
        # Read at the end: an array that was handed out must not have changed since.
        return [{name: np.array(xp.to_numpy(p)) for name, p in params.items()} for params in path]


def assert_path(found, name, rates, tolerance, scale=1.0):
    start, gradients = problem(scale)
    for key, w in start.items():
        for got, want in zip(found, expected(name, w, [g[key] for g in gradients], rates), strict=True):
            np.testing.assert_allclose(got[key], want, rtol=0, atol=tolerance)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_trajectory_is_the_formula(xp, name, compiled):
    found = run(xp, updates.resolve(xp, name, RATE), compiled=compiled)
    assert all(a.dtype == np.float64 for a in found[0].values())
    assert_path(found, name, [RATE] * STEPS, TOLERANCE[xp.name])


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_epsilon_stands_beside_the_corrected_root(xp, name):
    found = run(xp, updates.resolve(xp, name, RATE), scale=1e-7)
    assert_path(found, name, [RATE] * STEPS, 2e-5 if xp.name == "tensorflow" else 1e-13, scale=1e-7)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("momentum", "nesterov")])
def test_a_schedule_sets_the_rate_of_each_step(xp, name):
    schedule = updates.Exponential(RATE, 0.5, 2)
    found = run(xp, updates.resolve(xp, name, schedule))
    rates = [RATE * 0.5 ** (t / 2) for t in range(STEPS)]
    assert_path(found, name, rates, TOLERANCE[xp.name])


@pytest.mark.parametrize("name", NAMES)
def test_frameworks_agree_in_single_precision(name):
    assert backends.installed()
    paths = {}
    for backend in backends.installed():
        xp = backends.get(backend, dtype="float32")
        paths[backend] = run(xp, updates.resolve(xp, name, RATE))
    reference = paths[backends.installed()[0]]
    for path in paths.values():
        assert path[-1]["b"].dtype == np.float32
        for key in reference[-1]:
            np.testing.assert_allclose(path[-1][key], reference[-1][key], rtol=0, atol=3e-6)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "adam", "adamax", "rmsprop", "adagrad"])
def test_a_zero_gradient_moves_nothing(xp, name):
    update = updates.resolve(xp, name, RATE).update
    params = {"w": xp.asarray([1.5, -2.0])}
    moved, _ = update.step(params, {"w": xp.zeros((2,))}, update.init(params), xp.asarray(RATE))
    np.testing.assert_array_equal(xp.to_numpy(moved["w"]), [1.5, -2.0])


def test_naive_subtracts_the_gradient_bit_for_bit(xp):
    found = run(xp, updates.resolve(xp, "naive"))
    want, gradients = problem()
    for got, g in zip(found, gradients, strict=True):
        want = {name: p - g[name] for name, p in want.items()}
        for name, p in want.items():
            np.testing.assert_array_equal(got[name], p)


def test_default_rate_and_rate_zero(xp):
    assert updates.resolve(xp, "adam").rate(10) == 1e-3
    still = run(xp, updates.resolve(xp, "sgd", 0.0))
    np.testing.assert_array_equal(still[-1]["b"], problem()[0]["b"])


def own_objects(name):
    """Plain SGD and Adam as the framework's own objects."""
    if name == "torch":
        import torch

        return functools.partial(torch.optim.SGD, lr=RATE), lambda params: torch.optim.Adam(params, lr=RATE)
    if name == "jax":
        import optax

        return optax.sgd(RATE), optax.chain(optax.scale_by_adam(), optax.scale(-RATE))
    import keras

    return keras.optimizers.SGD(RATE), keras.optimizers.Adam(RATE, epsilon=1e-8)


def test_the_frameworks_own_objects(xp):
    for name, spec in zip(("sgd", "adam"), own_objects(xp.name), strict=True):
        assert_path(run(xp, updates.resolve(xp, spec)), name, [RATE] * STEPS, TOLERANCE[xp.name])


@pytest.mark.quick("torch")
def test_two_updates_from_one_object_share_nothing(xp):
    _, adam = own_objects(xp.name)
    first, second = (run(xp, updates.resolve(xp, adam)) for _ in range(2))
    for name, p in first[-1].items():
        np.testing.assert_array_equal(p, second[-1][name])


@pytest.mark.quick("torch")
def test_state_starts_anew_with_init(xp):
    update = updates.resolve(xp, "adam", RATE)
    first, second = run(xp, update), run(xp, update)
    np.testing.assert_array_equal(first[-1]["b"], second[-1]["b"])


def test_parameters_set_from_outside_are_where_the_next_step_starts(xp):
    update = updates.resolve(xp, "sgd", 0.5).update
    params = {"w": xp.asarray([1.0])}
    state = update.init(params)
    _, state = update.step(params, {"w": xp.ones((1,))}, state, xp.asarray(0.5))
    moved, _ = update.step({"w": xp.asarray([7.0])}, {"w": xp.ones((1,))}, state, xp.asarray(0.5))
    assert float(moved["w"][0]) == 6.5


def test_an_update_of_ones_own_is_used_as_it_is(xp):
    class SignDescent:
        def init(self, params):
            return None

        def step(self, params, gradients, state, rate):
            return {name: p - rate * xp.sign(gradients[name]) for name, p in params.items()}, state

    found = run(xp, updates.resolve(xp, SignDescent(), RATE))
    start, gradients = problem()
    want = start["b"] - RATE * sum(np.sign(g["b"]) for g in gradients)
    np.testing.assert_allclose(found[-1]["b"], want, rtol=0, atol=1e-14)


@pytest.mark.skipif("torch" not in backends.installed(), reason="needs torch")
def test_torch_scheduler_is_stepped_and_bound_optimizers_are_refused():
    import torch

    xp = backends.get("torch", dtype="float64")

    def halving(params):
        return torch.optim.lr_scheduler.StepLR(torch.optim.SGD(params, lr=RATE), step_size=1, gamma=0.5)

    rates = [RATE * 0.5**t for t in range(STEPS)]
    assert_path(run(xp, updates.resolve(xp, halving)), "sgd", rates, 1e-14)
    with pytest.raises(TypeError, match="bound to other parameters"):
        updates.resolve(xp, torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1))
    for wrong in (torch.optim.LBFGS, lambda params: None):
        with pytest.raises(TypeError, match="needs no closure"):
            updates.resolve(xp, wrong).update.init({"w": torch.zeros(1)})


@pytest.mark.skipif("tensorflow" not in backends.installed(), reason="needs tensorflow")
def test_keras_on_another_framework_is_refused(monkeypatch):
    import keras

    xp = backends.get("tensorflow")
    updates.resolve(xp, "sgd")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow"):
        updates.resolve(xp, "sgd")


def test_errors_say_what_is_right(xp):
    with pytest.raises(ValueError, match="'adam2'") as error:
        updates.resolve(xp, "adam2")
    assert all(repr(name) in str(error.value) for name in (*NAMES, "naive"))
    with pytest.raises(ValueError, match="optimizer=None"):
        updates.resolve(xp, None)
    with pytest.raises(TypeError, match="optimizer=3"):
        updates.resolve(xp, 3)
    with pytest.raises(TypeError, match="is a class"):
        updates.resolve(xp, updates.Naive)
    with pytest.raises(ValueError, match=r"has (no rate|its own)"):
        updates.resolve(xp, "naive", 0.1)
    with pytest.raises(ValueError, match=r"has (no rate|its own)"):
        updates.resolve(xp, own_objects(xp.name)[0], 0.1)
    for rate in (-0.1, math.nan, math.inf, "0.1", True):
        with pytest.raises(ValueError, match="learning_rate="):
            updates.resolve(xp, "sgd", rate)
    with pytest.raises(ValueError, match="at step 3"):
        updates.resolve(xp, "sgd", lambda step: 2.0 - step).rate(3)


def test_schedules():
    assert updates.Constant(0.2)(10**6) == 0.2
    assert updates.Exponential(0.8, 0.5, 10)(30) == 0.1
    cosine = updates.Cosine(1.0, 100, final=0.2)
    assert cosine(0) == 1.0
    np.testing.assert_allclose([cosine(25), cosine(50), cosine(100)], [0.6 + 0.2 * math.sqrt(2), 0.6, 0.2])
    assert cosine(101) == cosine(10**6) == 0.2
    rise = updates.Warmup(4, updates.Exponential(0.8, 0.5, 10))
    np.testing.assert_allclose([rise(t) for t in range(5)], [0.2, 0.4, 0.6, 0.8, 0.8])
    np.testing.assert_allclose(rise(14), 0.4)
    assert updates.Warmup(0, updates.Constant(0.3))(0) == 0.3


@pytest.mark.parametrize(
    "make",
    [
        lambda: updates.Constant(-1.0),
        lambda: updates.Exponential(0.1, 0.0, 5),
        lambda: updates.Exponential(0.1, 0.5, 0),
        lambda: updates.Cosine(0.1, -3),
        lambda: updates.Cosine(math.nan, 3),
        lambda: updates.Warmup(-1, updates.Constant(0.1)),
    ],
)
def test_schedules_refuse_numbers_without_meaning(make):
    with pytest.raises(ValueError, match="expected a finite number"):
        make()


@pytest.mark.parametrize("given", [None, "0.1", True, float("nan"), -1.0, [0.1], updates.Cosine])
def test_a_schedule_that_gives_no_rate_is_named(given):
    scheduled = updates.resolve(backends.get("torch"), "sgd", lambda step: given)
    with pytest.raises(ValueError, match=r"gave .* at step 3: expected a finite number"):
        scheduled.rate(3)


def test_a_schedule_may_give_an_array_of_no_axes_and_is_no_class():
    for given in (np.float32(0.5), np.array(0.5), backends.get("torch").asarray(0.5)):
        assert updates.resolve(backends.get("torch"), "sgd", lambda step, rate=given: rate).rate(0) == 0.5
    for make in (
        lambda: updates.resolve(backends.get("torch"), "sgd", updates.Cosine),
        lambda: updates.Warmup(3, updates.Cosine),
    ):
        with pytest.raises(TypeError, match="Cosine"):
            make()


def test_warmup_refuses_a_number_for_a_schedule():
    with pytest.raises(TypeError, match="Constant"):
        updates.Warmup(3, 0.1)


@pytest.mark.quick("torch")
def test_clipping_shortens_long_gradients_only(xp):
    gradients = {"a": xp.asarray([[3.0], [0.0]]), "b": xp.asarray([4.0])}  # norm 5
    clipped = updates.clip_by_global_norm(xp, gradients, 1.0)
    np.testing.assert_allclose(xp.to_numpy(clipped["a"]), [[0.6], [0.0]], rtol=1e-15)
    np.testing.assert_allclose(xp.to_numpy(clipped["b"]), [0.8], rtol=1e-15)
    for norm in (5.0, 6.0):
        kept = updates.clip_by_global_norm(xp, gradients, norm)
        np.testing.assert_array_equal(xp.to_numpy(kept["b"]), [4.0])
    nothing = updates.clip_by_global_norm(xp, {"a": xp.zeros((2,))}, 1.0)
    np.testing.assert_array_equal(xp.to_numpy(nothing["a"]), [0.0, 0.0])


def test_clip_norm_is_none_or_above_zero():
    assert updates.check_clip_norm(None) is None
    assert updates.check_clip_norm(2) == 2.0
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="clip_norm="):
            updates.check_clip_norm(wrong)
