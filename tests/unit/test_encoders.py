"""Threshold and filter codes: sequences worked on paper, errors of published codes, and codes by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoding import THOROUGH, signals
from neko.encoders import Encoder, resolve
from neko.encoders.bsa import BSA
from neko.encoders.delta import Delta
from neko.encoders.hough import Hough
from neko.encoders.modified_hough import ModifiedHough
from neko.encoders.moving_window import MovingWindow
from neko.encoders.step_forward import StepForward
from neko.encoders.temporal_contrast import TemporalContrast


def word(spikes):
    return "".join("-0+"[int(z) + 1] for z in spikes)


# Worked on paper


def test_temporal_contrast():
    """Changes 4, -4 and six times 0: mean |d| = 1 and std = √(32 / 8) = 2."""
    x = [1.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    code = TemporalContrast(1.0)  # θ = 3
    assert code.threshold_of(x) == pytest.approx(3.0, rel=1e-14)
    assert word(code.encode(x)) == "0+-000000"
    assert word(TemporalContrast(1.5).encode(x)) == "000000000"  # θ = 4, and no change is greater
    assert code.decode(code.encode(x), threshold=3.0, start=1.0).tolist() == [1.0, 4.0, *[1.0] * 7]
    # changes -4, 0, 0, 0 have the mean -1 but mean |d| = 1, and std = √((9 + 1 + 1 + 1) / 4) = √3
    assert TemporalContrast(1.0).threshold_of([4.0, 0.0, 0.0, 0.0, 0.0]) == pytest.approx(1 + np.sqrt(3), rel=1e-14)
    two = np.array([[x, np.zeros(9)], [3.0 * np.array(x), x]]).swapaxes(1, 2)
    np.testing.assert_allclose(code.threshold_of(two), [[3.0, 0.0], [9.0, 3.0]], rtol=1e-14)


def test_step_forward():
    """Baselines after each sample: 0, 1, 2, 2, 2 (1 is not below 2 - 1), 1."""
    code = StepForward(1.0)
    spikes = code.encode([0.0, 2.5, 2.5, 2.5, 1.0, 0.5])
    assert word(spikes) == "0++00-"
    assert code.decode(spikes, start=0.0).tolist() == [0.0, 1.0, 2.0, 2.0, 2.0, 1.0]


def test_moving_window():
    """Bases of samples 1 to 5: 0, 1 (2 is not above 1 + 1), 2, 2, 1."""
    code = MovingWindow(1.0, window=2)
    spikes = code.encode([0.0, 2.0, 2.0, 2.0, 0.0, -1.0])
    assert word(spikes) == "0+00--"
    # bases of the decoded samples: 0, 1/2, 3/4, 5/8, 3/16
    assert code.decode(spikes).tolist() == [0.0, 1.0, 0.5, 0.75, -0.375, -0.8125]
    # a window of 3 that is not full yet: bases 0, 1 and 4/3
    assert word(MovingWindow(1.0, window=3).encode([0.0, 2.0, 2.0, 0.0])) == "0+0-"


def test_delta():
    """The example of snntorch.spikegen.delta with threshold=1, padding=True, off_spike=True."""
    code = Delta(1.0)
    assert word(code.encode([1.0, 2.0, 0.0, 2.0, 2.9])) == "0+-+0"
    assert code.decode([0.0, 1.0, -1.0, 1.0, 0.0], start=1.0).tolist() == [1.0, 2.0, 1.0, 2.0, 2.0]


def test_bsa():
    """h = ½, ¼ and θ Σ|h| = 3/8.

    t = 0: 3/8 1/4 are 5/8, and less h 1/8: 1/2 less, a spike; left are -1/8 0 1/2 1/8
    t = 1: 0 1/2 are 1/2, and less h 3/4: more
    t = 2: 1/2 1/8 are 5/8, and less h 1/8: 1/2 less, a spike; left is -1/8
    t = 3: 1/8, and less ½ 5/8: more
    """
    code = BSA(0.5, taps=(0.5, 0.25))
    spikes = code.encode([0.375, 0.25, 0.5, 0.125])
    assert word(spikes) == "+0+0"
    assert code.decode(spikes).tolist() == [0.5, 0.25, 0.5, 0.25]
    assert word(code.encode([0.0, 0.0, 0.375])) == "00+"  # 3/8 - 1/8 = θ ½
    volts = BSA(0.5, taps=(0.5, 0.25), low=-2.0, high=2.0)
    assert word(volts.encode([-0.5, -1.0, 0.0, -1.5])) == "+0+0"
    assert volts.decode([1.0, 0.0, 1.0, 0.0]).tolist() == [0.0, -1.0, 0.0, -1.0]


def test_hough():
    """½ ¾ lies above ½ ¼, and so does the ½ ¼ that is left; .2 is below both taps."""
    code = Hough(taps=(0.5, 0.25))
    spikes = code.encode([0.5, 0.75, 0.25, 0.0])
    assert word(spikes) == "++00"
    assert code.decode(spikes).tolist() == [0.5, 0.75, 0.25, 0.0]
    assert word(code.encode([0.5, 0.2, 0.9, 0.9])) == "00++"  # .4 .65 are left, and .65 is above ½


def test_modified_hough():
    """θ Σh = .15: .05 is missing at t = 0, .5 + .05 at t = 1, nothing later."""
    code = ModifiedHough(0.2, taps=(0.5, 0.25))
    assert word(code.encode([0.5, 0.2, 0.9, 0.9])) == "+0++"
    assert word(code.encode([0.375, 0.25, 0.0])) == "+00"
    assert word(code.encode([0.34, 0.25, 0.0])) == "000"  # .16 is missing
    assert word(code.encode([0.0, 0.0, 0.41])) == "00+"  # .09 of ½ is missing, less than θ ½


def test_the_default_filter_is_a_hann_window_of_sum_one():
    """sin² of 45°, 90° and 135° are ½, 1 and ½."""
    np.testing.assert_allclose(BSA(length=3).filter, [0.25, 0.5, 0.25], rtol=1e-15)
    assert BSA(length=1).filter.tolist() == [1.0]


@THOROUGH
@given(x=signals(0.0, 1.0), taps=st.lists(st.integers(1, 8), min_size=1, max_size=4))
def test_until_the_first_spike_bsa_is_modified_hough(x, taps):
    """Σ|r| - Σ|r - h| = Σh - 2 Σ max(0, h - r) while r >= 0."""
    taps = tuple(tap / 16 for tap in taps)
    one, other = BSA(0.5, taps=taps).encode(x), ModifiedHough(0.25, taps=taps).encode(x)
    np.testing.assert_array_equal(one.argmax(axis=1), other.argmax(axis=1))
    np.testing.assert_array_equal(one.any(axis=1), other.any(axis=1))


# What published codes do, and these do not. Each is written here as published and shown to err.


def published_contrast(x, factor):
    change = np.diff(x)
    threshold = change.mean() + factor * change.std()
    change = np.insert(change, 0, change[1])
    return np.where(change > threshold, 1, np.where(change < -threshold, -1, 0))


def published_window(x, threshold, window):
    spikes = np.zeros(len(x))
    for t in [*range(window + 1), *range(window + 2, len(x))]:
        base = np.mean(x[: window + 1] if t <= window else x[t - window - 1 : t - 1])
        spikes[t] = np.sign(x[t] - base) * (abs(x[t] - base) > threshold)
    return spikes


def published_spiker(x, h, threshold):
    x, spikes = np.array(x), np.zeros(len(x))
    for t in range(len(x) - len(h) + 1):
        error = sum(abs(x[t + k] - h[k]) for k in range(len(h)))
        if error <= threshold * sum(abs(x[t + k - 1]) for k in range(len(h))):
            spikes[t] = 1
            for k in range(min(len(h), len(x) - t - 1)):
                x[t + k + 1] -= h[k]
    return spikes


def test_ramps_are_silent_and_mirrored_for_temporal_contrast():
    """With the mean of signed changes, a falling ramp has the threshold -1, and every sample is below minus that."""
    ramp = np.arange(10.0)
    assert word(published_contrast(-ramp, 0.5)) == "-" * 10
    assert word(published_contrast(ramp, 0.5)) == "0" * 10
    for slope in (1.0, -1.0, 0.1, -1 / 3):
        for dtype in (np.float64, np.float32):
            assert not TemporalContrast(0.0).encode((7.0 + slope * np.arange(200)).astype(dtype)).any()


def test_temporal_contrast_has_no_spike_at_sample_0_and_keeps_a_jump_from_it():
    late, early = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert word(published_contrast(late, 0.5)) == "+0+000"
    code = TemporalContrast(0.5)
    assert word(code.encode(late)) == "00+000"
    assert word(code.encode(early)) == "0+0000"
    decoded = code.decode(code.encode(early), **code.aside(early))
    np.testing.assert_allclose(decoded, code.threshold_of(early) * early, rtol=1e-14)


def test_moving_window_looks_back_only_and_can_spike_everywhere():
    window = 3
    for t in range(1, 12):
        x = (np.arange(12) >= t).astype(float)
        assert MovingWindow(0.1, window).encode(x)[t] == 1.0
        assert published_window(x, 0.1, window)[t] == (t != window + 1)
    x = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    assert word(published_window(x, 0.1, window)) == "---+0-"  # the 1 that comes makes what is before it low
    assert word(MovingWindow(0.1, window).encode(x)) == "000+--"


def test_adding_up_thresholds_does_not_invert_a_moving_window():
    """While a step of 1 passes through a window of 8, bases are 0, ⅛, … and six of them lie more than ¼ below it."""
    code, x = MovingWindow(0.25, 8), np.repeat([0.0, 1.0], [10, 30])
    spikes = code.encode(x)
    assert word(spikes) == "0" * 10 + "+" * 6 + "0" * 24
    assert StepForward(0.25).decode(spikes)[-1] == 1.5
    assert 0.25 < code.decode(spikes)[-1] < 1.0


def test_delta_does_not_take_an_offset_for_a_change():
    x = np.array([5.0, 5.0, 5.0])
    assert word(np.diff(x, prepend=0.0) >= 1.0) == "+00"  # as published by default
    assert word(Delta(1.0).encode(x)) == "000"


def test_bsa_subtracts_its_threshold_and_does_not_read_the_end_at_the_start():
    h = (0.5, 0.25)
    high = np.ones(4)
    assert word(published_spiker(high, h, 0.6))[0] == "0"  # ½ + ¾ is more than .6 (1 + 1), though h fits
    assert word(BSA(0.6, taps=h).encode(high))[0] == "+"
    low, end = np.array([0.25, 0.25, 0.0, 0.0]), np.array([0.25, 0.25, 0.0, 1.0])
    assert published_spiker(low, h, 0.8)[0] != published_spiker(end, h, 0.8)[0]
    assert BSA(0.2, taps=h).encode(low)[0] == BSA(0.2, taps=h).encode(end)[0]


def test_filter_codes_can_spike_at_the_end_and_do_not_in_silence():
    """Asked for all taps, Hough is silent in the last samples; the threshold of a filter is too much for its part."""
    taps = (0.125, 0.5, 0.125)
    assert word(Hough(taps=taps).encode([0.0, 0.0, 0.125])) == "00+"
    assert 0.2 * sum(taps) >= taps[0]  # what is missing at the last sample of silence, against the published threshold
    assert word(ModifiedHough(0.2, taps=taps).encode(np.zeros(5))) == "00000"


def test_filter_codes_take_the_range_that_is_stated_and_not_that_of_the_batch():
    code, x = Hough(length=2, high=4.0), np.array([[[2.0], [2.0]], [[4.0], [4.0]]])
    assert [word(z) for z in code.encode(x)[..., 0]] == ["+0", "++"]  # the filter is ½ ½ of 4
    np.testing.assert_array_equal(code.encode(2.0 * x)[1], code.encode(x)[1])  # outside is clipped
    assert [word(z) for z in code.encode(x[:1])[..., 0]] == ["+0"]


# By name


OWN = """
import numpy as np
from neko.encoders import Encoder

class Above(Encoder):
    def __init__(self, level=0.5):
        self.level = level

    def code(self, x):
        return x > self.level

class Plain:
    def encode(self, signal):
        return signal
"""


def test_a_code_is_found_by_name_with_options_and_an_own_one_by_file(tmp_path):
    assert resolve("step_forward") == StepForward()
    assert resolve("step_forward()") == StepForward()
    assert resolve("moving_window(threshold=0.05, window=3, split=True)") == MovingWindow(0.05, 3, split=True)
    assert resolve("bsa(taps=[0.5, 0.25])") == BSA(taps=(0.5, 0.25))
    code = Hough(length=4)
    assert resolve(code) is code
    (tmp_path / "own.py").write_text(OWN)
    own = resolve(f"{tmp_path / 'own.py'}:Above(level=0.25)")
    assert isinstance(own, Encoder)
    assert own.encode([0.0, 0.3, 0.2]).tolist() == [0.0, 1.0, 0.0]
    assert own.encode(np.full((2, 3, 4), 0.3)).shape == (2, 3, 4)
    assert not own.invertible
    assert own.aside([0.0]) == {}
    assert resolve(f"{tmp_path / 'own.py'}:Plain").encode("as it is") == "as it is"


def test_an_own_code_cannot_work_on_the_array_of_the_caller():
    class InPlace(Encoder):
        def code(self, x):
            x -= 1.0
            return x

    x = np.ones((1, 3, 1))
    with pytest.raises(ValueError, match="read-only"):
        InPlace().encode(x)
    assert (x == 1.0).all()


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("step_foward", ValueError, r"encoder 'step_foward': expected one of \[.*'delta'.*did you mean 'step_forward'"),
        ("step_forward(0.1)", ValueError, r"expected name\(option=value, …\)"),
        ("step_forward(size=0.1)", TypeError, "size"),
        ("delta(threshold=0.0)", ValueError, r"threshold=0\.0: expected a finite number above 0"),
        ("step_forward(threshold=-1)", ValueError, "threshold=-1: expected a finite number above 0"),
        ("moving_window(threshold='low')", ValueError, "threshold='low': expected a finite number above 0"),
        ("moving_window(window=0)", ValueError, "window=0: expected a positive integer"),
        ("moving_window(window=2.5)", ValueError, r"window=2\.5: expected a positive integer"),
        ("temporal_contrast(factor=-0.5)", ValueError, r"factor=-0\.5: expected a finite number >= 0"),
        ("bsa(threshold=1.5)", ValueError, r"threshold=1\.5: expected a part of the area of the filter, from 0 to 1"),
        ("modified_hough(threshold=-0.5)", ValueError, r"threshold=-0\.5: expected a finite number >= 0"),
        ("bsa(length=0)", ValueError, "length=0: expected a positive integer"),
        ("bsa(taps=0.5)", TypeError, r"taps=0\.5: expected a list, for example \(0\.25, 0\.5, 0\.25\)"),
        ("bsa(taps=())", ValueError, r"taps=\(\): expected finite numbers that are not all 0"),
        ("bsa(taps=(0.5, 'a'))", ValueError, "expected finite numbers that are not all 0"),
        ("hough(taps=(0.5, 0.0))", ValueError, r"taps=\(0\.5, 0\.0\): expected numbers above 0"),
        ("modified_hough(taps=(0.5, -0.1))", ValueError, "expected numbers above 0"),
        ("hough(low=1.0, high=1.0)", ValueError, "expected low below high"),
        (StepForward, TypeError, r"expected a name or an object with a method encode\(signal\)"),
        (3, TypeError, r"encoder=3: expected a name or an object with a method encode\(signal\)"),
    ],
)
def test_what_is_no_code_is_refused(text, error, message):
    with pytest.raises(error, match=message):
        resolve(text)
