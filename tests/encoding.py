"""What tests of encoders share: signals, and which codes are signed."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from neko.encoders import ENCODERS, SignedEncoder

QUICK = settings(max_examples=10, deadline=None, derandomize=True)
THOROUGH = settings(QUICK, max_examples=60)
SIGNED = [name for name in ENCODERS if issubclass(ENCODERS[name], SignedEncoder)]


def signals(low=-0.5, high=1.5, shape=None):
    """(batch, time, channels) of multiples of 1/64, whose sums and differences are exact."""
    shape = shape or st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 3))
    entries = st.integers(int(64 * low), int(64 * high)).map(lambda k: k / 64)
    return hnp.arrays(np.float64, shape, elements=entries)
