"""The leaky filter against its definition, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from neko.backend.blocks import BLOCK, block_weights
from neko.models.readout import leaky_filter

KAPPAS = [0.95, 1.0 - 1e-9, 1e-3, 1e-30, 1e-300]


def by_steps(kappa, drive, start, reverse):
    f, found = start, []
    for d in drive[::-1] if reverse else drive:
        f = kappa * f + d
        found.append(f)
    return np.stack(found[::-1] if reverse else found)


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("time", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.quick("torch")
def test_the_filter_is_its_recursion(xp, time, kappa, reverse):
    rng = np.random.default_rng(0)
    drive, start = rng.standard_normal((time, 3, 2)), 5.0 * rng.standard_normal((3, 2))
    last, found = leaky_filter(xp, kappa, xp.asarray(drive), xp.asarray(start), reverse=reverse)
    expected = by_steps(kappa, drive, start, reverse)
    np.testing.assert_allclose(xp.to_numpy(found), expected, rtol=0.0, atol=1e-14 * np.abs(expected).max())
    assert np.array_equal(xp.to_numpy(last), xp.to_numpy(found)[0 if reverse else -1])


@pytest.mark.quick("torch")
def test_the_reverse_filter_is_the_adjoint_of_the_filter(xp):
    """<w, F d> = <F^T w, d> and, by automatic differentiation, the gradient of <w, F d> is F^T w."""
    rng = np.random.default_rng(1)
    drive, w = (xp.asarray(rng.standard_normal((2 * BLOCK + 7, 3, 2))) for _ in range(2))
    nothing = xp.zeros((3, 2))

    def product(d):
        return xp.sum(w * leaky_filter(xp, 0.9, d, nothing)[1])

    value, gradient = xp.value_and_grad(product)(drive)
    back = leaky_filter(xp, 0.9, w, nothing, reverse=True)[1]
    assert float(value) == pytest.approx(float(xp.sum(back * drive)), rel=1e-12)
    np.testing.assert_allclose(xp.to_numpy(gradient), xp.to_numpy(back), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kappa", KAPPAS)
def test_weights_of_a_block_are_powers_or_nothing(dtype, kappa):
    """No weight is too small for a normal number of the precision, with which processors are slow."""
    weights = block_weights(kappa, BLOCK, dtype)
    smallest = np.finfo(dtype).tiny
    for t in range(BLOCK):
        exact = [kappa ** (t - s) if s <= t else 0.0 for s in range(-1, BLOCK)]
        expected = [power if power >= smallest else 0.0 for power in exact]
        np.testing.assert_allclose(weights[t], expected, rtol=1e-14, atol=0.0)
