"""What a proof asserts before it compares: the network is alive, no gradient vanishes, the knob under test moves it."""

from __future__ import annotations

import numpy as np
import pytest

from neko.verification.cases import max_relative_error
from neko.verification.form import LIVE


def liveness(spikes):
    """Mean rate per step of spikes in {0, 1}; a proof on a silent or saturated network proves nothing."""
    spikes = np.asarray(spikes)
    assert set(np.unique(spikes)) <= {0.0, 1.0}, "not spikes"
    rate = float(spikes.mean())
    assert LIVE[0] <= rate <= LIVE[1], f"rate {rate:.3f}"
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
    for cell, states in zip(evaluator.model.cells, evaluator.model.record(x), strict=True):
        if cell.spiking:
            liveness(states[-1])
    for name, g in gradients.items():
        assert np.abs(xp.to_numpy(g)).max() > 1e-8, f"{name} has no gradient"


def judged_params(judged, *quick):
    """Pairs of rule and oracle, of which those beside `quick` are left to `make proofs`; without `quick` each rule in
    its first mode is quick, and e-prop in all."""
    seen, found = set(), []
    for name, oracle in judged:
        base = name.partition(":")[0]
        fast = name in quick if quick else base not in seen or base == "eprop"
        seen.add(base)
        found.append(pytest.param(name, oracle, marks=[] if fast else [pytest.mark.slow]))
    return found
