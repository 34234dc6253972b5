"""Fixtures: every installed backend, in double precision."""

from __future__ import annotations

import pytest

from neko import backend as backends

BACKENDS = backends.installed()


@pytest.fixture(params=BACKENDS)
def xp(request):
    """Each backend in double precision, inside its scope."""
    chosen = backends.get(request.param, dtype="float64")
    with chosen.scope():
        yield chosen
