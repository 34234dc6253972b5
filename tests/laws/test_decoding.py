"""What decoding makes of spikes: each bound is derived on paper, in the docstring of its code."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoding import SIGNED, THOROUGH, signals
from neko.encoders import ENCODERS
from neko.encoders.filters import FilterEncoder
from neko.encoders.values import ValueEncoder

ROUNDING = 1e-9


def decoded(code, x):
    spikes = code.encode(x)
    return spikes.astype(float), code.decode(spikes, **code.aside(x))


@pytest.mark.parametrize("name", ["delta", "temporal_contrast"])
@THOROUGH
@given(x=signals(low=-2.0, high=2.0), option=st.floats(0.01, 2.0))
def test_errors_of_delta_and_temporal_contrast_are_what_each_change_leaves(name, x, option):
    code = ENCODERS[name](option)
    threshold = np.broadcast_to(code.aside(x).get("threshold", option), x[:, 0].shape)[:, None]
    spikes, y = decoded(code, x)
    change = np.diff(x, axis=1, prepend=x[:, :1])
    assert (np.abs(y - x) <= np.abs(change - threshold * spikes).cumsum(axis=1) + ROUNDING).all()
    largest = np.abs(change).max(axis=1, keepdims=True)
    steps = np.arange(x.shape[1])[:, None]
    assert (np.abs(y - x) <= steps * np.maximum(threshold, largest - threshold) + ROUNDING).all()


@THOROUGH
@given(
    steps=hnp.arrays(
        np.int64, st.tuples(st.integers(1, 3), st.integers(1, 30), st.just(1)), elements=st.integers(-1, 1)
    )
)
def test_delta_loses_nothing_of_changes_by_the_threshold(steps):
    x = 0.25 * steps.cumsum(axis=1)
    np.testing.assert_array_equal(decoded(ENCODERS["delta"](0.25), x)[1], x)


@THOROUGH
@given(x=signals(low=-2.0, high=2.0), threshold=st.floats(0.01, 2.0))
def test_errors_of_step_forward_are_made_good(x, threshold):
    error = np.abs(decoded(ENCODERS["step_forward"](threshold), x)[1] - x)
    bound = np.zeros_like(x[:, 0])
    for t in range(1, x.shape[1]):
        bound = np.maximum(threshold, bound + np.abs(x[:, t] - x[:, t - 1]) - threshold)
        assert (error[:, t] <= bound + ROUNDING).all()
    slow = x * min(1.0, threshold / max(np.abs(np.diff(x, axis=1)).max(initial=0.0), 1e-9))
    assert (np.abs(decoded(ENCODERS["step_forward"](threshold), slow)[1] - slow) <= threshold + ROUNDING).all()


@THOROUGH
@given(x=signals(low=-2.0, high=2.0), threshold=st.floats(0.01, 2.0), window=st.integers(1, 6))
def test_errors_of_moving_window_are_the_mean_of_the_last_and_its_own(x, threshold, window):
    spikes, y = decoded(ENCODERS["moving_window"](threshold, window), x)
    bound = np.zeros_like(x)
    for t in range(1, x.shape[1]):
        last = slice(max(t - window, 0), t)
        own = np.abs(x[:, t] - x[:, last].mean(axis=1) - threshold * spikes[:, t])
        bound[:, t] = bound[:, last].mean(axis=1) + own
    assert (np.abs(y - x) <= bound + ROUNDING).all()


def filters(low):
    return (
        st.lists(st.integers(low, 8), min_size=1, max_size=5).filter(any).map(lambda taps: tuple(k / 16 for k in taps))
    )


@THOROUGH
@given(x=signals(0.0, 1.0), taps=filters(-4), threshold=st.floats(0.0, 1.0))
def test_every_spike_of_bsa_takes_its_threshold_off_the_error(x, taps, threshold):
    spikes, y = decoded(ENCODERS["bsa"](threshold, taps=taps), x)
    area = np.abs(taps).cumsum()[np.minimum(np.arange(x.shape[1])[::-1], len(taps) - 1)][:, None]
    error = np.abs(y - x).sum(axis=1)
    assert (error <= (x - threshold * area * spikes).sum(axis=1) + ROUNDING).all()


@THOROUGH
@given(x=signals(0.0, 1.0), taps=filters(1), threshold=st.floats(0.0, 0.9))
def test_hough_stays_below_the_signal_and_its_modification_nearly(x, taps, threshold):
    y = decoded(ENCODERS["hough"](taps=taps), x)[1]
    assert (y >= 0.0).all()
    assert (y <= x + ROUNDING).all()
    y = decoded(ENCODERS["modified_hough"](threshold, taps=taps), x)[1]
    assert (y >= 0.0).all()
    assert (y <= x + threshold * sum(taps) + ROUNDING).all()


@THOROUGH
@given(
    spikes=hnp.arrays(
        np.int8, st.tuples(st.integers(1, 3), st.integers(1, 30), st.just(1)), elements=st.integers(0, 1)
    ),
    options=st.fixed_dictionaries({"length": st.integers(1, 9)}) | st.fixed_dictionaries({"taps": filters(1)}),
)
def test_hough_gives_back_the_spikes_that_made_a_signal(spikes, options):
    """At each sample without a spike, nothing of later filters is there yet, so that the first tap does not fit."""
    code = ENCODERS["hough"](**options)
    code = replace(code, taps=tuple(code.filter / max(code.filter.sum(), 1.0)))  # so that the signal is in the range
    np.testing.assert_array_equal(code.encode(code.decode(spikes)), spikes)


@THOROUGH
@given(x=signals(-1.0, 1.0), data=st.data())
def test_a_decoder_takes_a_start_for_each_signal_and_channel(x, data):
    """The start adds to every sample, a number to all signals alike."""
    name = data.draw(st.sampled_from(["step_forward", "moving_window", "delta"]))
    code = ENCODERS[name]()
    spikes = code.encode(x)
    np.testing.assert_allclose(code.decode(spikes, start=2.0), code.decode(spikes) + 2.0, atol=1e-14)
    start = x[:, 0]
    np.testing.assert_allclose(code.decode(spikes, start=start), code.decode(spikes) + start[:, None], atol=1e-14)


def test_every_other_code_with_an_inverse_is_one_of_values():
    """Their bounds are in tests/unit/test_value_encoders.py."""
    here = {*SIGNED, *(name for name in ENCODERS if issubclass(ENCODERS[name], FilterEncoder))}
    assert here == {"delta", "temporal_contrast", "step_forward", "moving_window", "bsa", "hough", "modified_hough"}
    for name in ENCODERS:
        assert not ENCODERS[name].invertible or name in here or issubclass(ENCODERS[name], ValueEncoder)
