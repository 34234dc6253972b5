"""Laws of every encoder of the registry, from what it declares and what is declared here."""

from __future__ import annotations

import random
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoding import QUICK, SIGNED, signals
from neko.encoders import ENCODERS, Encoder, SignedEncoder, resolve

CODES = [*ENCODERS, *(f"{name}(split=True)" for name in SIGNED)]
LOOK_AHEAD = {"temporal_contrast": None, "bsa": 7, "hough": 7, "modified_hough": 7}
"""Samples after t that spikes at t depend on, None for all of them; 0 for other codes."""


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-0.2, 1.2, shape)


def name_of(text):
    return text.partition("(")[0]


def test_the_registry_has_thirteen_codes_with_a_source_and_a_summary():
    assert len(ENCODERS) >= 13
    assert len(SIGNED) >= 4
    for name in ENCODERS:
        assert ENCODERS.about(name)["source"]
        assert len(ENCODERS.summary(name)) > 20
        assert ENCODERS[name]().invertible == callable(getattr(ENCODERS[name], "decode", None))


@pytest.mark.parametrize("text", CODES)
@QUICK
@given(x=signals())
def test_spikes_are_spikes_and_what_is_decoded_has_the_shape_of_the_signal(text, x):
    code = resolve(text)
    spikes = code.encode(x)
    batch, time, channels = x.shape
    assert spikes.shape == (batch, time * code.steps, channels * code.per_channel)
    assert spikes.dtype == np.float32
    assert spikes.flags.c_contiguous
    assert set(np.unique(spikes)) <= ({-1.0, 0.0, 1.0} if text in SIGNED else {0.0, 1.0})
    if code.invertible:
        assert code.decode(spikes, **code.aside(x)).shape == x.shape
        single = x[0, :, 0]
        assert code.decode(code.encode(single), **code.aside(single)).shape == single.shape


@pytest.mark.parametrize("text", CODES)
@QUICK
@given(x=signals())
def test_a_signal_is_a_batch_of_one_is_a_channel_of_many(text, x):
    code = resolve(text)
    spikes, channels = code.encode(x), x.shape[2]
    for b in range(len(x)):
        np.testing.assert_array_equal(code.encode(x[b : b + 1])[0], spikes[b])
    for c in range(channels):
        alone = code.encode(x[:, :, c : c + 1])
        if not ENCODERS.about(name_of(text)).get("random"):  # random channels are independent, also equal ones
            np.testing.assert_array_equal(alone, spikes[:, :, c::channels])
        single = code.encode(x[0, :, c])
        np.testing.assert_array_equal(single if code.per_channel > 1 else single[:, None], alone[0])


@pytest.mark.parametrize("text", CODES)
def test_neighbours_in_the_batch_do_not_matter(text):
    code, x = resolve(text), drawn(3, 30, 2)
    crowd = np.concatenate([1e3 * x, x, -x, np.zeros_like(x)])
    np.testing.assert_array_equal(code.encode(crowd)[3:6], code.encode(x))
    times = 1500 if isinstance(code, SignedEncoder) else 20  # more signals than go to a signed code at once
    many = code.encode(np.tile(x, (times, 1, 1))).reshape(times, *code.encode(x).shape)
    assert (many == code.encode(x)).all()


@pytest.mark.parametrize("text", CODES)
def test_nothing_is_changed_and_nothing_is_remembered(text):
    code, x = resolve(text), drawn(2, 25, 2)
    kept = x.copy()
    x.flags.writeable = False
    before = np.random.get_state()[1].copy(), np.random.get_state()[2], random.getstate()
    first = code.encode(x)
    np.random.random(3)
    random.random()
    second = code.encode(x)
    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(x, kept)
    np.random.set_state(("MT19937", before[0], before[1]))
    random.setstate(before[2])
    code.encode(x)
    if code.invertible:
        first.flags.writeable = False
        code.decode(first, **code.aside(x))
        np.testing.assert_array_equal(first, second)
    assert np.array_equal(np.random.get_state()[1], before[0])
    assert np.random.get_state()[2] == before[1]
    assert random.getstate() == before[2]


REFUSED = [
    (np.array([0.0, np.nan]), ValueError, r"signal\[1\] is nan: expected finite numbers"),
    (np.array([[[0.0], [-np.inf]]]), ValueError, r"signal\[0, 1, 0\] is -inf: expected finite numbers"),
    (np.zeros((2, 0, 1)), ValueError, r"signal has shape \(2, 0, 1\): expected .* none of them 0"),
    ([], ValueError, r"signal has shape \(0,\)"),
    (0.5, ValueError, r"signal has shape \(\): expected \(batch, time, channels\) or \(time,\)"),
    (np.zeros((2, 3)), ValueError, r"signal has shape \(2, 3\), which may be .*; give signal\[\.\.\., None\]"),
    (np.zeros((1, 2, 3, 4)), ValueError, r"signal has shape \(1, 2, 3, 4\)"),
    (np.zeros(3, complex), TypeError, r"signal has dtype 'complex128': expected real numbers"),
    (["a", "b"], TypeError, r"signal has dtype '<U1': expected real numbers"),
    ([0.5, None], TypeError, r"signal has dtype 'object': expected real numbers"),
    (np.zeros(2, "M8[s]"), TypeError, r"signal has dtype 'datetime64\[s\]': expected real numbers"),
]


@pytest.mark.parametrize("name", ENCODERS)
def test_what_is_no_signal_is_refused(name):
    code = ENCODERS[name]()
    for signal, error, message in REFUSED:
        with pytest.raises(error, match=message):
            code.encode(signal)
    if code.invertible:
        given = code.aside(np.zeros(3))
        with pytest.raises(ValueError, match=r"spikes\[0, 0, 0\] is nan"):
            code.decode(np.full((1, code.steps, code.per_channel), np.nan), **given)
        if code.steps > 1:
            with pytest.raises(ValueError, match=rf"expected time in multiples of {code.steps}"):
                code.decode(np.zeros((1, code.steps + 1, code.per_channel)), **given)
        if code.per_channel > 1:
            with pytest.raises(ValueError, match=rf"channels in multiples of {code.per_channel}"):
                code.decode(np.zeros((1, code.steps, code.per_channel + 1)), **given)


@pytest.mark.parametrize("text", CODES)
def test_numbers_of_every_dtype_and_short_signals(text):
    code, x = resolve(text), np.rint(drawn(2, 12, 2)).clip(0, 1)
    for dtype in (np.int64, np.uint32, ">f8"):
        np.testing.assert_array_equal(code.encode(x.astype(dtype)), code.encode(x))
    for dtype in (bool, np.uint8, np.int16, np.float16):
        np.testing.assert_array_equal(code.encode(x.astype(dtype)), code.encode(x.astype(np.float32)))
    np.testing.assert_array_equal(code.encode(x.tolist()), code.encode(x))
    np.testing.assert_array_equal(code.encode(np.asfortranarray(x)), code.encode(x))
    np.testing.assert_array_equal(code.encode(x[:, ::-1][:, ::-1]), code.encode(x))
    for constant in (0.0, 0.3, 1.0):
        for time in (1, 5):
            spikes = code.encode(np.full(time, constant))
            assert spikes.shape[0] == time * code.steps
            if code.invertible:
                decoded = code.decode(spikes, **code.aside(np.full(time, constant)))
                assert np.isfinite(decoded).all()


@pytest.mark.parametrize("text", [text for text in CODES if LOOK_AHEAD.get(name_of(text), 0) is not None])
@QUICK
@given(data=st.data())
def test_spikes_do_not_depend_on_what_comes_later(text, data):
    code, ahead = resolve(text), LOOK_AHEAD.get(name_of(text), 0)
    x, y = (data.draw(signals(shape=(1, 20, 2))) for _ in range(2))
    t = data.draw(st.integers(ahead, 20))
    y[:, :t] = x[:, :t]
    until = (t - ahead) * code.steps
    np.testing.assert_array_equal(code.encode(x)[:, :until], code.encode(y)[:, :until])


def test_codes_that_are_declared_to_look_ahead_do():
    for name, ahead in LOOK_AHEAD.items():
        x = drawn(400, 20, 1)
        y = x.copy()
        y[:, 19 if ahead is None else 10 + ahead] = 1.0 - x[:, 19 if ahead is None else 10 + ahead]
        code = ENCODERS[name]()
        assert (code.encode(x)[:, 10] != code.encode(y)[:, 10]).any(), name


@pytest.mark.parametrize("name", SIGNED)
@QUICK
@given(x=signals(low=-2.0, high=2.0))
def test_the_mirrored_signal_has_mirrored_spikes(name, x):
    code = ENCODERS[name]()
    spikes = code.encode(x)
    np.testing.assert_array_equal(code.encode(-x), -spikes)
    up, down = np.split(replace(code, split=True).encode(x), 2, axis=-1)
    np.testing.assert_array_equal(up - down, spikes)
    assert not (up * down).any()
    given = code.aside(x)
    mirrored = {option: -value if option == "start" else value for option, value in given.items()}
    np.testing.assert_array_equal(code.decode(-spikes, **mirrored), -code.decode(spikes, **given))
    both = replace(code, split=True)
    np.testing.assert_array_equal(both.decode(both.encode(x), **given), code.decode(spikes, **given))


@pytest.mark.parametrize("name", SIGNED)
@QUICK
@given(value=st.floats(-1e6, 1e6), time=st.integers(1, 40), dtype=st.sampled_from([np.float64, np.float32]))
def test_a_constant_signal_is_silent_for_signed_codes(name, value, time, dtype):
    for code in (ENCODERS[name](), ENCODERS[name](split=True)):
        assert not code.encode(np.full(time, value, dtype)).any()


@pytest.mark.parametrize("text", CODES)
def test_every_sample_can_spike(text):
    """Signals that rise, and that fall, at each sample; a signed code has nothing to compare sample 0 with."""
    code, time = resolve(text), 16
    up = np.tri(time + 1, time, -1)[::-1, :, None]
    spikes = code.encode(np.concatenate([up, 1.0 - up]))
    somewhere = spikes.reshape(len(spikes), time, -1).any(axis=(0, 2))
    assert somewhere[1:].all()
    assert somewhere[0] != isinstance(code, SignedEncoder)


@pytest.mark.parametrize("name", ENCODERS)
@QUICK
@given(x=signals(), shift=st.integers(-8, 8), scale=st.sampled_from([0.5, 2.0, 8.0]))
def test_what_is_shifted_and_scaled_with_its_options_has_the_same_spikes(name, x, shift, scale):
    code = ENCODERS[name]()
    options = {field.name for field in fields(code)}
    if "low" in options:
        moved = replace(code, low=scale * code.low + shift, high=scale * code.high + shift)
    elif name == "temporal_contrast":
        moved = code
    else:
        moved = replace(code, threshold=scale * code.threshold)
    np.testing.assert_array_equal(moved.encode(scale * x + shift), code.encode(x))
    if code.invertible:
        y = code.decode(code.encode(x), **code.aside(x))
        z = moved.decode(moved.encode(scale * x + shift), **moved.aside(scale * x + shift))
        np.testing.assert_allclose(z, scale * y + shift, atol=1e-12 * scale)


# Codes as parts


@pytest.mark.parametrize("text", [*CODES, "bsa(threshold=0.25, taps=(0.5, 0.25))", "moving_window(window=3)"])
def test_a_code_is_a_frozen_value_that_its_text_makes_again(text):
    code, name = resolve(text), name_of(text)
    options = repr(code).removeprefix(type(code).__name__)
    again = resolve(name + options)
    assert isinstance(again, Encoder)
    assert again == code
    assert hash(again) == hash(code)
    assert again is not code
    np.testing.assert_array_equal(again.encode(drawn(2, 20, 1)), code.encode(drawn(2, 20, 1)))
    for field in fields(code):
        with pytest.raises(FrozenInstanceError):
            setattr(code, field.name, getattr(code, field.name))
    assert resolve(code) is code
