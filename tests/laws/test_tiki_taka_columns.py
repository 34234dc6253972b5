"""How many columns of Tiki-Taka's fast array a transfer reads."""

from __future__ import annotations

import numpy as np
import pytest

from neko import updates
from neko.backend import generated
from neko.devices import ConstantStep
from neko.updates import TikiTaka

pytestmark = pytest.mark.quick("torch")


@pytest.mark.parametrize(("columns", "sums"), [(1, [1 + 4, 2 + 5, 3]), (2, [12, 8, 10]), (3, [15] * 3), (7, [15] * 3)])
def test_columns_are_read_in_turn(xp, columns, sums):
    """A pulse in each of five updates, so that a read after update k finds k of them. Of three columns, two at a time:
    0 1, 2 0, 1 2, 0 1, 2 0."""
    step = 2e-3  # of one pulse to a single device, 2 Δ / (g_max - g_min)
    rule = TikiTaka(device=ConstantStep(g_min=0.0, g_max=1e-3, dg_min=1e-6), w_max=1.0, most=10, columns=columns)
    with generated.plain():
        update = updates.resolve(xp, rule).update
        params = {"w": xp.asarray(np.zeros((2, 3)))}
        state = update.init(params)
        for _ in range(5):
            params, state = update.step(params, {"w": xp.asarray(np.full((2, 3), -step))}, state, xp.scalar(1.0))
    np.testing.assert_allclose(xp.to_numpy(params["w"]), step * np.array([sums, sums]), atol=1e-12)


def test_at_least_one_column_is_read():
    with pytest.raises(ValueError, match="columns=0"):
        TikiTaka(columns=0)
