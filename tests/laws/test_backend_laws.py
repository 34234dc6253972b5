"""The laws of the backend contract, over the registry of backends."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest

from neko import backend as backends
from neko.backend import names
from neko.cells.surrogates import SURROGATES
from significance import FALSE_ALARM, MISSED, missed_binomial, missed_normal, p_binomial, p_normal

RNG = np.random.default_rng(0)
A, B, V, W = (RNG.standard_normal((3, 4)) for _ in range(4))


def test_the_registry_is_not_empty():
    assert set(backends.installed()) == {"torch", "jax", "tensorflow"}


EXAMPLES = {
    "abs": lambda np, a, b: np.abs(a),
    "all": lambda np, a, b: np.all(a > -9.0, axis=1),
    "any": lambda np, a, b: np.any(a > 1.0, axis=1),
    "argmax": lambda np, a, b: np.argmax(a, axis=1),
    "argsort": lambda np, a, b: np.argsort(a, axis=1),
    "broadcast_to": lambda np, a, b: np.broadcast_to(a, (2, 3, 4)),
    "clip": lambda np, a, b: np.clip(a, -0.5, 0.5),
    "concat": lambda np, a, b: np.concat([a, b], axis=1),
    "cos": lambda np, a, b: np.cos(a),
    "cumulative_sum": lambda np, a, b: np.cumulative_sum(a, axis=0),
    "exp": lambda np, a, b: np.exp(a),
    "expand_dims": lambda np, a, b: np.expand_dims(a, axis=-1),
    "flip": lambda np, a, b: np.flip(a, axis=0),
    "floor": lambda np, a, b: np.floor(a),
    "isfinite": lambda np, a, b: np.isfinite(a),
    "log": lambda np, a, b: np.log(np.abs(a)),
    "log1p": lambda np, a, b: np.log1p(np.abs(a)),
    "logical_and": lambda np, a, b: np.logical_and(a > 0.0, b > 0.0),
    "logical_not": lambda np, a, b: np.logical_not(a > 0.0),
    "logical_or": lambda np, a, b: np.logical_or(a > 0.0, b > 0.0),
    "matmul": lambda np, a, b: np.matmul(a, np.matrix_transpose(b)),
    "matrix_transpose": lambda np, a, b: np.matrix_transpose(a),
    "max": lambda np, a, b: np.max(a, axis=1, keepdims=True),
    "maximum": lambda np, a, b: np.maximum(a, 0.1) + np.maximum(a, b),
    "mean": lambda np, a, b: np.mean(a, axis=(0, 1)),
    "min": lambda np, a, b: np.min(a, axis=1),
    "minimum": lambda np, a, b: np.minimum(a, 0.1) + np.minimum(a, b),
    "ones_like": lambda np, a, b: np.ones_like(a),
    "permute_dims": lambda np, a, b: np.permute_dims(a, (1, 0)),
    "pow": lambda np, a, b: np.pow(a, 2.0),
    "reshape": lambda np, a, b: np.reshape(a, (2, 6)),
    "round": lambda np, a, b: np.round(a),
    "sign": lambda np, a, b: np.sign(a),
    "sin": lambda np, a, b: np.sin(a),
    "sort": lambda np, a, b: np.sort(a, axis=1),
    "sqrt": lambda np, a, b: np.sqrt(np.abs(a)),
    "square": lambda np, a, b: np.square(a),
    "squeeze": lambda np, a, b: np.squeeze(np.expand_dims(a, axis=1), axis=1),
    "stack": lambda np, a, b: np.stack([a, b], axis=1),
    "std": lambda np, a, b: np.std(a, axis=0),
    "sum": lambda np, a, b: np.sum(a, axis=(0, 1)) + np.sum(a),
    "tan": lambda np, a, b: np.tan(a),
    "tanh": lambda np, a, b: np.tanh(a),
    "tile": lambda np, a, b: np.tile(a, (2, 1)),
    "unstack": lambda np, a, b: np.unstack(a, axis=1)[2],
    "var": lambda np, a, b: np.var(a, axis=1),
    "where": lambda np, a, b: np.where(a > 0.0, a, b),
    "zeros_like": lambda np, a, b: np.zeros_like(a),
}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_functions_agree_with_numpy(xp, name):
    found = xp.to_numpy(EXAMPLES[name](xp, xp.asarray(A), xp.asarray(B)))
    np.testing.assert_allclose(found, EXAMPLES[name](np, A, B), rtol=1e-14, atol=1e-15)


def test_every_promised_name_is_tried_here():
    elsewhere = {"astype", "take", *(n for n in names.ARRAY_API if n.startswith("bitwise"))}
    assert set(names.ARRAY_API) == set(EXAMPLES) | elsewhere


def test_creation_takes_the_backends_precision(xp):
    made = [xp.zeros((2,)), xp.ones((2,)), xp.full((2,), 3.0), xp.eye(2), xp.arange(2), xp.asarray(A.astype("f4"))]
    assert [a.dtype for a in made] == [xp.dtype] * len(made)
    assert xp.to_numpy(xp.asarray(np.arange(3))).dtype.kind == "i"
    assert xp.to_numpy(xp.asarray(np.array([True]))).dtype.kind == "b"
    np.testing.assert_array_equal(
        xp.to_numpy(xp.take(xp.asarray(A), xp.asarray(np.array([2, 0])), axis=1)), A[:, [2, 0]]
    )


def test_functions_beyond_the_standard(xp):
    a = xp.asarray(A)
    shifted = A - A.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    expected = {
        "erf": np.vectorize(math.erf)(A),
        "sigmoid": 1 / (1 + np.exp(-A)),
        "softplus": np.log1p(np.exp(A)),
        "log_softmax": shifted - log_sum,
        "logsumexp": (log_sum + A.max(axis=-1, keepdims=True))[:, 0],
    }
    for name, value in expected.items():
        np.testing.assert_allclose(xp.to_numpy(getattr(xp, name)(a)), value, rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(xp.to_numpy(xp.one_hot(xp.asarray(np.array([2, 0])), 3)), np.eye(3)[[2, 0]])


def test_the_singular_values_of_every_matrix(xp):
    stack = np.stack([A, B, np.outer(A[:, 0], B[0])])  # the last is of rank one
    for a in (stack, np.swapaxes(stack, 1, 2)):
        u, s, v = (xp.to_numpy(factor) for factor in xp.svd(xp.asarray(a)))
        np.testing.assert_allclose((u * s[:, None]) @ v, a, atol=1e-14)
        np.testing.assert_allclose(s, np.linalg.svd(a, compute_uv=False), atol=1e-14)
        for basis in (u, np.swapaxes(v, 1, 2)):
            np.testing.assert_allclose(np.swapaxes(basis, 1, 2) @ basis, np.stack([np.eye(3)] * 3), atol=1e-14)
    lost = xp.svd(xp.asarray(np.stack([A, B * np.nan])))
    assert all(np.isnan(xp.to_numpy(factor)[1]).all() for factor in lost)


def test_the_cholesky_factor_and_triangles_solve(xp):
    lower = np.stack([np.tril(A[:, :3]) + 3 * np.eye(3), np.tril(B[:, :3]) + 4 * np.eye(3)])
    found = xp.cholesky(xp.asarray(lower @ np.swapaxes(lower, 1, 2)))
    np.testing.assert_allclose(xp.to_numpy(found), lower, atol=1e-14)
    for factor, side in ((lower, True), (np.swapaxes(lower, 1, 2), False)):
        b = np.stack([A[:, :2], B[:, :2]])
        # what stands in the other triangle is not read
        filled = np.where(factor == 0.0, np.nan, factor)
        found = xp.solve_triangular(xp.asarray(filled), xp.asarray(b), lower=side)
        np.testing.assert_allclose(xp.to_numpy(found), np.linalg.solve(factor, b), atol=1e-13)


def smooth(xp):
    return lambda a, b: xp.tanh(a @ xp.matrix_transpose(b)) + xp.sum(a * a)


def dot(xp, a, b):
    return float(np.sum(xp.to_numpy(a) * xp.to_numpy(b)))


def test_forward_and_reverse_mode_are_adjoint(xp):
    """<w, J v> = <J^T w, v>."""
    a, b, v, w = (xp.asarray(m) for m in (A, B, V, W[:, :3]))
    _, tangent = xp.jvp(smooth(xp), (a, b), (v, xp.asarray(W)))
    _, pullback = xp.vjp(smooth(xp), a, b)
    along_a, along_b = pullback(w)
    assert dot(xp, w, tangent) == pytest.approx(dot(xp, along_a, v) + dot(xp, along_b, W), rel=1e-12)
    assert abs(dot(xp, w, tangent)) > 0.1


def test_value_and_grad_is_the_finite_difference(xp):
    def f(params, scale):
        return scale * xp.sum(xp.tanh(params["a"]) * params["b"]), {"seen": params["a"]}

    params = {"a": xp.asarray(A), "b": xp.asarray(B), "unused": xp.asarray(V)}
    (value, aux), gradients = xp.value_and_grad(f, has_aux=True)(params, 2.0)
    assert float(value) == pytest.approx(2 * np.sum(np.tanh(A) * B))
    np.testing.assert_array_equal(xp.to_numpy(aux["seen"]), A)
    np.testing.assert_allclose(xp.to_numpy(gradients["a"]), 2 * B / np.cosh(A) ** 2, rtol=1e-12)
    np.testing.assert_allclose(xp.to_numpy(gradients["b"]), 2 * np.tanh(A), rtol=1e-12)
    np.testing.assert_array_equal(xp.to_numpy(gradients["unused"]), 0 * V)


def test_stop_gradient_has_no_tangent_and_no_cotangent(xp):
    def f(a):
        return xp.stop_gradient(a) * a

    a, v = xp.asarray(A), xp.asarray(V)
    np.testing.assert_allclose(xp.to_numpy(xp.jvp(f, (a,), (v,))[1]), A * V)
    np.testing.assert_allclose(xp.to_numpy(xp.vjp(f, a)[1](v)[0]), A * V)


class Pair(NamedTuple):
    left: object
    right: object


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_scan_is_the_loop(xp, reverse, compiled):
    """Carries and results, and the gradient through them, with nested containers and empty places."""
    xs = RNG.standard_normal((5, 2, 3))

    def step(carry, x):
        new = Pair(carry.left * 0.5 + x["x"], None)
        return new, (new.left * 2.0, None, [carry.left])

    def run(start):
        carry, (y, nothing, (before,)) = xp.scan(step, Pair(start, None), {"x": xp.asarray(xs)}, reverse=reverse)
        assert nothing is None
        return xp.sum(carry.left) + xp.sum(y * before), (y, before)

    start = RNG.standard_normal((2, 3))
    both = xp.value_and_grad(run, has_aux=True)
    (_, (y, before)), gradient = (xp.jit(both) if compiled else both)(xp.asarray(start))

    def loop(start):
        carry, ys, bs = start, np.zeros((5, 2, 3)), np.zeros((5, 2, 3))
        for t in reversed(range(5)) if reverse else range(5):
            bs[t] = carry
            carry = carry * 0.5 + xs[t]
            ys[t] = carry * 2.0
        return carry.sum() + (ys * bs).sum(), ys, bs

    _, ys, bs = loop(start)
    np.testing.assert_allclose(xp.to_numpy(y), ys, rtol=1e-14)
    np.testing.assert_allclose(xp.to_numpy(before), bs, rtol=1e-14)
    probe = np.zeros((2, 3))
    probe[1, 2] = 1e-5
    slope = (loop(start + probe)[0] - loop(start - probe)[0]) / 2e-5
    assert float(xp.to_numpy(gradient)[1, 2]) == pytest.approx(slope, rel=1e-7)


def test_finite_asks_every_entry_and_what_is_known_is_true(xp):
    largest = np.finfo(np.float64).max
    for values, expected in (
        ([largest, largest], True),
        ([0.0, np.nan], False),
        ([np.inf, -np.inf, 1.0], False),
        ([-1.0, np.inf], False),
        ([], True),
    ):
        found = xp.finite(xp.asarray(np.array(values)))
        assert bool(found) is expected
        assert xp.known(found) in (None, expected)
    a = xp.asarray(A)
    assert xp.same(a, xp.asarray(A.copy())) in (None, True)
    assert xp.same(a, a + xp.asarray(np.eye(3, 4))) in (None, False)
    assert xp.same(xp.asarray(np.array([np.nan])), xp.asarray(np.array([np.nan]))) in (None, False)


def test_jit_changes_nothing(xp):
    f = smooth(xp)
    a, b = xp.asarray(A), xp.asarray(B)
    np.testing.assert_allclose(xp.to_numpy(xp.jit(f)(a, b)), xp.to_numpy(f(a, b)), rtol=1e-13)


@pytest.mark.parametrize("compiled", [False, True])
def test_columnwise_jacobian_is_the_diagonal_and_names_structural_zeros(xp, compiled):
    def f(a, b):
        return a * b, xp.tanh(a), xp.stop_gradient(a) * 2.0

    def run(a, b):
        jacobian = xp.columnwise_jacobian(f, a, b)
        assert [[e is None for e in row] for row in jacobian] == [[False, False], [False, True], [True, True]]
        return jacobian[0][0], jacobian[0][1], jacobian[1][0]

    a, b = xp.asarray(A), xp.asarray(B)
    found = (xp.jit(run) if compiled else run)(a, b)
    for entry, expected in zip(found, (B, A, 1 / np.cosh(A) ** 2), strict=True):
        np.testing.assert_allclose(xp.to_numpy(entry), expected, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(SURROGATES))
def test_surrogates_spike_exactly_and_slope_as_they_say(xp, name):
    surrogate = SURROGATES[name]()
    u = np.linspace(-2.0, 2.0, 41).reshape(1, -1) + 0.013
    here, ones = xp.asarray(u), xp.asarray(np.ones_like(u))
    psi = xp.to_numpy(surrogate.derivative(xp, here))
    assert psi.max() > 0.2
    for f in (lambda a: surrogate(xp, a), xp.jit(lambda a: surrogate(xp, a))):
        out, pullback = xp.vjp(f, here)
        np.testing.assert_array_equal(xp.to_numpy(out), (u > 0).astype(float))
        np.testing.assert_allclose(xp.to_numpy(pullback(ones)[0]), psi, rtol=1e-14)
    np.testing.assert_allclose(xp.to_numpy(xp.jvp(lambda a: surrogate(xp, a), (here,), (ones,))[1]), psi, rtol=1e-14)
    _, silent = xp.vjp(lambda a: surrogate(xp.forward_only(), a), here)
    assert not xp.to_numpy(silent(ones)[0]).any()


AREAS = {"triangular": 0.3, "boxcar": 1.0, "fast_sigmoid": 0.2, "arctan": 1.0, "gaussian": 0.5, "multi_gaussian": 0.425}


@pytest.mark.parametrize("name", sorted(SURROGATES))
def test_surrogates_have_the_area_of_their_formula(name):
    """∫ψ in closed form: γ, γ, 2γ/s, γ, γ, γ(1 - h)."""
    xp = backends.get("torch", dtype="float64")
    u = np.tan(np.linspace(-np.pi / 2, np.pi / 2, 400_001)[1:-1])
    psi = SURROGATES[name]().derivative(xp, xp.asarray(u)).numpy()
    assert np.trapezoid(psi, u) == pytest.approx(AREAS[name], rel=1e-3)


def test_random_numbers_are_threefrys(xp):
    """Known answers of the Random123 distribution for 20 rounds."""
    words = [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ]
    word = xp.random._words
    for key, counter, expected in words:
        found = xp.random.threefry(*(word(np.int64(k)) for k in key), *(word(np.array([c])) for c in counter))
        assert tuple(int(xp.to_numpy(f)[0]) for f in found) == expected


def test_the_same_key_draws_the_same_numbers_on_every_backend(xp):
    """And they are uniform, normal, true with a probability. False alarm and power as in `significance`; the controls
    are uniform numbers of half the range, the transform of Box and Muller without its factor 2, and true for false.
    """
    controls = missed_binomial(3000, 0.5, 1.0), missed_normal(3000, [0.0], [[1.0]], [0.0], [[0.5]])
    assert max(*controls, missed_binomial(3000, 0.2, 0.8)) < MISSED
    reference = backends.get("torch", dtype="float64")
    keys = xp.random.split(xp.random.key(2**40 + 7), 3)
    expected = reference.random.split(reference.random.key(2**40 + 7), 3)
    uniform = xp.to_numpy(xp.random.uniform(keys[1], (1000, 3)))
    np.testing.assert_array_equal(uniform, reference.random.uniform(expected[1], (1000, 3)).numpy())
    assert uniform.min() >= 0.0
    assert uniform.max() < 1.0
    assert p_binomial((uniform < 0.5).sum(), uniform.size, 0.5) > FALSE_ALARM
    normal = xp.to_numpy(xp.random.normal(keys[2], (3000,)))
    np.testing.assert_allclose(normal, reference.random.normal(expected[2], (3000,)).numpy(), rtol=1e-12)
    assert p_normal(normal[:, None], [0.0], [[1.0]]) > FALSE_ALARM
    drawn = xp.to_numpy(xp.random.bernoulli(keys[0], 0.2, (3000,)))
    assert p_binomial(drawn.sum(), drawn.size, 0.2) > FALSE_ALARM
    assert not np.array_equal(uniform, xp.to_numpy(xp.random.uniform(keys[0], (1000, 3))))


@pytest.mark.parametrize("name", backends.installed())
def test_single_precision_draws_agree_bit_for_bit(name):
    xp, reference = backends.get(name), backends.get("torch")
    found = xp.random.uniform(xp.random.key(3), (100,))
    np.testing.assert_array_equal(xp.to_numpy(found), reference.random.uniform(reference.random.key(3), (100,)).numpy())
