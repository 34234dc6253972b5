"""Fixtures: every installed backend, in double precision."""

from __future__ import annotations

import pytest

from neko import backend as backends

BACKENDS = backends.installed()
# What a backend runs in every test run, by parameter; the rest is left to `make proofs`. Compiling many cells is slow,
# and so is a long chain where it does not compile.
QUICK = {
    "variant": {"alif mixed", "dendritic"},
    "drift": {"rotated"},
    "force": {"exact"},
    "broken": set(),
    "update": {"adam", "manhattan, soft_bounds"},
    "rule": {"bptt", "eprop:adaptive"},
    "sampler": {"langevin"},
    "chain": {"hmc", "langevin, wrong drift"},
    "chains_of": set(),
}
# The backend that runs all of them; torch, which compiles nothing, unless there are thousands of steps.
ALL = dict.fromkeys(QUICK, "torch") | dict.fromkeys(("chain", "chains_of"), "jax")


@pytest.fixture(params=BACKENDS)
def xp(request):
    """Each backend in double precision, inside its scope."""
    chosen = backends.get(request.param, dtype="float64")
    with chosen.scope():
        yield chosen


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what is left to `make proofs`."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        for name, quick in QUICK.items():
            if name in params and params.get("xp", ALL[name]) != ALL[name] and params[name] not in quick:
                item.add_marker(pytest.mark.slow)
