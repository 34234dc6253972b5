"""How a proof compares and what it asserts first; the independent truths are `neko.verification.truth`.

That module imports nothing of neko: what is judged must not be its own judge.
"""

from __future__ import annotations

import numpy as np


def max_relative_error(found, expected):
    """Largest deviation over all arrays of two flat dicts, each relative to the largest entry of its expectation."""
    assert found.keys() == expected.keys()
    errors = []
    for name in expected:
        a, b = np.asarray(found[name]), np.asarray(expected[name])
        assert a.shape == b.shape, name
        # A comparison with NaN is false and would hide it from the maximum.
        assert np.isfinite(a).all(), f"{name} is not finite"
        assert np.isfinite(b).all(), f"the expected {name} is not finite"
        errors.append(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-300)))
    return max(errors)


def relative_error(found, expected, xp):
    """`max_relative_error` of a backend's arrays."""
    return max_relative_error(
        {name: xp.to_numpy(a) for name, a in found.items()}, {name: xp.to_numpy(a) for name, a in expected.items()}
    )


def liveness(spikes):
    """Mean rate per step of spikes in {0, 1}; a proof on a silent or saturated network proves nothing."""
    spikes = np.asarray(spikes)
    assert set(np.unique(spikes)) <= {0.0, 1.0}, "not spikes"
    rate = float(spikes.mean())
    assert 0.02 <= rate <= 0.4, f"rate {rate:.3f}"
    return rate


def assert_moves(found, reference, least=1e-3):
    """The negative control: what is switched off or changed in `found` must show."""
    error = max_relative_error(found, reference)
    assert error > least, f"moved by {error:.1e} only: the knob is not under test"


def finite_differences(f, params, step=1e-5):
    """Gradient of a smooth ``f(params) -> float`` by central differences, entry by entry."""
    gradients = {}
    for name, value in params.items():
        slopes = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            sides = []
            for sign in (1.0, -1.0):
                moved = value.copy()
                moved[index] += sign * step
                sides.append(f(params | {name: moved}))
            slopes[index] = (sides[0] - sides[1]) / (2.0 * step)
        gradients[name] = slopes
    return gradients


def assert_live(evaluator, x, gradients, xp):
    """The network spikes (2-40 % of the steps), and no gradient vanishes."""
    for cell, states in zip(evaluator.network.cells, evaluator.model.record(x), strict=True):
        if cell.spiking:
            liveness(states[-1])
    for name, g in gradients.items():
        assert np.abs(xp.to_numpy(g)).max() > 1e-8, f"{name} has no gradient"
