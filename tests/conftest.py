"""Fixtures: every installed backend, in double precision."""

from __future__ import annotations

import pytest

from neko import backend as backends

BACKENDS = backends.installed()
# Compiling is slow: the compiled backends take these cells in every run, and all cells in `make proofs`.
QUICK = {"alif mixed", "dendritic"}


@pytest.fixture(params=BACKENDS)
def xp(request):
    """Each backend in double precision, inside its scope."""
    chosen = backends.get(request.param, dtype="float64")
    with chosen.scope():
        yield chosen


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what the compiled backends leave to `make proofs`."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if params.get("xp", "torch") != "torch" and params.get("variant", "alif mixed") not in QUICK:
            item.add_marker(pytest.mark.slow)
