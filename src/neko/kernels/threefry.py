"""Random numbers in the host's memory: Threefry-2x32 and the transform of Box and Muller, fused.

The same text runs compiled, number by number, where Numba is installed, and else in NumPy, array by array. Each of its
operations is exact or correctly rounded, so that both give the same bits on every processor.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import numpy as np

from neko.backend.generated import unavailable
from neko.kernels.vector import LN_2

numba: Any = None if unavailable() else importlib.import_module("numba")
extending: Any = None if numba is None else importlib.import_module("numba.extending")

F = TypeVar("F", bound=Callable[..., Any])
Key = tuple[int, int]
"""Two words of 32 bits."""

# Numba widens sums and shifts of words to 64 bits unless they are cast.
word, single, double = np.uint32, np.float32, np.float64
ZERO = word(0)
PARITY = word(0x1BD11BDA)
PI = Fraction("3.14159265358979323846264338327950288419716939937511")
CHUNK = 16384
"""Numbers at a time: few enough to stay in the cache, and enough that a call of NumPy does not matter."""


def jitable(f: F) -> F:
    """`f` itself, which compiled code may call too."""
    return f if numba is None else extending.register_jitable(forceinline=True)(f)


@jitable
def block(k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
    """Two words: the 20-round block function (Salmon et al. 2011, doi:10.1145/2063384.2063405).

    Every round is written out: in a function or loop of its own it is three times slower in compiled code.
    """
    k2 = k0 ^ k1 ^ PARITY
    x0, x1 = word(x0 + k0), word(x1 + k1)
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(13)) | word(x1 >> word(19))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(15)) | word(x1 >> word(17))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(26)) | word(x1 >> word(6))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(6)) | word(x1 >> word(26))) ^ x0
    x0, x1 = word(x0 + k1), word(word(x1 + k2) + word(1))
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(17)) | word(x1 >> word(15))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(29)) | word(x1 >> word(3))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(16)) | word(x1 >> word(16))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(24)) | word(x1 >> word(8))) ^ x0
    x0, x1 = word(x0 + k2), word(word(x1 + k0) + word(2))
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(13)) | word(x1 >> word(19))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(15)) | word(x1 >> word(17))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(26)) | word(x1 >> word(6))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(6)) | word(x1 >> word(26))) ^ x0
    x0, x1 = word(x0 + k0), word(word(x1 + k1) + word(3))
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(17)) | word(x1 >> word(15))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(29)) | word(x1 >> word(3))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(16)) | word(x1 >> word(16))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(24)) | word(x1 >> word(8))) ^ x0
    x0, x1 = word(x0 + k1), word(word(x1 + k2) + word(4))
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(13)) | word(x1 >> word(19))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(15)) | word(x1 >> word(17))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(26)) | word(x1 >> word(6))) ^ x0
    x0 = word(x0 + x1)
    x1 = (word(x1 << word(6)) | word(x1 >> word(26))) ^ x0
    x0, x1 = word(x0 + k2), word(word(x1 + k0) + word(5))
    return x0, x1


@jitable
def uniform_single(counter: Any, k0: Any, k1: Any) -> Any:
    """Multiples of 2^-24 in [0, 1)."""
    first, _ = block(k0, k1, counter, ZERO)
    return single(np.int32(first >> word(8))) * single(2.0**-24)


@jitable
def uniform_double(counter: Any, k0: Any, k1: Any) -> Any:
    """Multiples of 2^-53 in [0, 1)."""
    first, second = block(k0, k1, counter, ZERO)
    high, low = double(np.int32(first >> word(5))), double(np.int32(second >> word(6)))
    return (high * 2.0**26 + low) * 2.0**-53


def box_muller(
    real: Any, integer: Any, mantissa: int, exact: int, log_terms: int, sine_terms: int
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Radius and cosine of the angle for uniform numbers, whose product is normal, by operations that vectorise.

    Each is within 2 units in the last place, for the angle as it is rounded.

    `integer` is as wide as `real`, whose mantissa has `mantissa` bits; products of a number of `exact` bits with an
    exponent are exact; after the given numbers of terms the series are exact to rounding.
    """
    one, two, half, zero = real(1.0), real(2.0), real(0.5), real(0.0)
    shift, fraction, root_half = integer(mantissa), integer(2**mantissa - 1), real(math.sqrt(0.5)).view(integer)
    log_2, log_2_rest = parts(LN_2, exact, 2, real)
    quarter, quarter_rest, quarter_last = parts(PI / 2, exact, 3, real)
    turn, per_half_turn = real(2.0 * math.pi), real(1.0 / math.pi)
    artanh = tuple(real(2.0 / (2 * n + 1)) for n in range(log_terms, 0, -1))
    sine = tuple(real((-1) ** n / math.factorial(2 * n + 1)) for n in range(sine_terms, 0, -1))

    @jitable
    def log(x: Any) -> Any:
        # x = 2^e (1 + f) with 1 + f from √½ to √2, and log(1 + f) = 2 artanh(f / (2 + f)), summed as in fdlibm.
        above = real(x).view(integer) - root_half
        e = real(above >> shift)
        f = integer((above & fraction) + root_half).view(real) - one
        s = f / (two + f)
        z = s * s
        series = zero * z
        for coefficient in artanh:
            series = (series + coefficient) * z
        square = half * f * f
        return e * log_2 - ((square - (s * (square + series) + e * log_2_rest)) - f)

    @jitable
    def cos(angle: Any) -> Any:
        # From the zero after k = 1 or 3 quarter turns it is a sine of at most a quarter turn.
        k = two * np.floor(angle * per_half_turn) + one
        r = ((angle - k * quarter) - k * quarter_rest) - k * quarter_last
        z = r * r
        series = zero * z
        for coefficient in sine:
            series = (series + coefficient) * z
        return (k - two) * (r + r * series)

    @jitable
    def radius(u: Any) -> Any:
        return np.sqrt(-two * log(one - u))

    @jitable
    def cosine(u: Any) -> Any:
        return cos(turn * u)

    return radius, cosine


def parts(value: Fraction, bits: int, count: int, real: Any) -> list[Any]:
    """Numbers that add to a value more precisely than one of them can hold; all but the last have few bits."""
    found = []
    for number in range(1, count):
        scale = 2 ** (number * bits)
        found.append(Fraction(math.floor(value * scale), scale))
        value -= found[-1]
    return [real(float(part)) for part in (*found, value)]


radius_single, cosine_single = box_muller(single, np.int32, 23, 16, log_terms=4, sine_terms=6)
radius_double, cosine_double = box_muller(double, np.int64, 52, 40, log_terms=10, sine_terms=10)


class Draw(NamedTuple):
    """Numbers for an array of counters and the words of keys, and the compiled loop over counters 0, 1, …, or None."""

    numbers: Callable[..., Any]
    fill: Callable[..., Any] | None


def loop(fill: Any) -> Callable[..., Any] | None:
    """The loop compiled, which is kept for the next process where a folder can be written; None without Numba."""
    if numba is None:
        return None
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(fill)
    except RuntimeError:
        return numba.njit(**options)(fill)


# Each loop is written out, since Numba keeps no code for functions that are given as arguments.
@loop
def fill_words(out: Any, k0: Any, k1: Any) -> None:
    for i in range(out.shape[0]):
        out[i, 0], out[i, 1] = block(k0, k1, word(i), ZERO)


@loop
def fill_uniform_single(out: Any, k0: Any, k1: Any) -> None:
    for i in range(out.size):
        out[i] = uniform_single(word(i), k0, k1)


@loop
def fill_uniform_double(out: Any, k0: Any, k1: Any) -> None:
    for i in range(out.size):
        out[i] = uniform_double(word(i), k0, k1)


@loop
def fill_normal_single(out: Any, k0: Any, k1: Any, l0: Any, l1: Any) -> None:
    for begin in range(0, out.size, CHUNK):
        part = out[begin : begin + CHUNK]
        for i in range(part.size):
            part[i] = radius_single(uniform_single(word(begin + i), k0, k1))
        for i in range(part.size):
            part[i] *= cosine_single(uniform_single(word(begin + i), l0, l1))


@loop
def fill_normal_double(out: Any, k0: Any, k1: Any, l0: Any, l1: Any) -> None:
    for begin in range(0, out.size, CHUNK):
        part = out[begin : begin + CHUNK]
        for i in range(part.size):
            part[i] = radius_double(uniform_double(word(begin + i), k0, k1))
        for i in range(part.size):
            part[i] *= cosine_double(uniform_double(word(begin + i), l0, l1))


def normal_single(counter: Any, k0: Any, k1: Any, l0: Any, l1: Any) -> Any:
    """The radius from one key, the angle from the other."""
    return radius_single(uniform_single(counter, k0, k1)) * cosine_single(uniform_single(counter, l0, l1))


def normal_double(counter: Any, k0: Any, k1: Any, l0: Any, l1: Any) -> Any:
    """As `normal_single`."""
    return radius_double(uniform_double(counter, k0, k1)) * cosine_double(uniform_double(counter, l0, l1))


def pairs(counter: Any, k0: Any, k1: Any) -> Any:
    """Two words for each counter, (count, 2)."""
    return np.stack(block(k0, k1, counter, ZERO), axis=-1)


WORDS = Draw(pairs, fill_words)
UNIFORM = {
    "float32": Draw(uniform_single, fill_uniform_single),
    "float64": Draw(uniform_double, fill_uniform_double),
}
NORMAL = {
    "float32": Draw(normal_single, fill_normal_single),
    "float64": Draw(normal_double, fill_normal_double),
}


def words(key: Key, count: int) -> np.ndarray:
    """Two words for each counter 0 … count - 1, (count, 2)."""
    return drawn(WORDS, np.empty((count, 2), np.int64), key)


def uniform(key: Key, count: int, dtype: str) -> np.ndarray:
    """Uniform numbers in [0, 1), (count,)."""
    return drawn(UNIFORM[dtype], np.empty(count, dtype), key)


def normal(key: Key, count: int, dtype: str) -> np.ndarray:
    """Standard normal numbers, (count,): the radius from one key of two, the angle from the other."""
    return drawn(NORMAL[dtype], np.empty(count, dtype), words(key, 2).ravel())


def drawn(draw: Draw, out: np.ndarray, key: Any) -> np.ndarray:
    """`out` with the numbers of counters 0, 1, … for the words of one key or more."""
    if draw.fill is not None:
        draw.fill(out, *(word(k) for k in key))
        return out
    # Arrays, since NumPy warns where single numbers wrap around.
    keys = [np.array([k], word) for k in key]
    for begin in range(0, len(out), CHUNK):
        part = out[begin : begin + CHUNK]
        part[...] = draw.numbers(np.arange(begin, begin + len(part), dtype=word), *keys)
    return out
