"""Text of exp and tanh as polynomials, which compilers vectorise; calls of a C library they do not.

Within 2 units in the last place. ``exp(x) = 2^m exp(r)`` with ``r = x - m ln 2`` in [-ln 2 / 2, ln 2 / 2] and the
Taylor series of exp; ``tanh(x) = 1 - 2 / (exp(2 x) + 1)`` above 0.55, where nothing cancels, and its Taylor series
below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import NamedTuple


class Format(NamedTuple):
    """What the functions need to know of a floating-point format.

    Bits of the ``mantissa`` and ``bias`` of the exponent; the range beyond which exp is 0 or infinite; the number of
    terms after which each series is exact to rounding; the bits of ln 2 whose product with any m is exact.
    """

    mantissa: int
    bias: int
    least: float
    largest: float
    exp_terms: int
    tanh_terms: int
    exact_bits: int


FORMATS = {
    "float32": Format(23, 127, -104.0, 89.0, 7, 9, 15),
    "float64": Format(52, 1023, -746.0, 710.0, 13, 19, 40),
}
SMALL = 0.55
"""Up to here tanh is computed by its series."""
LN_2 = Fraction(Context(prec=50).ln(Decimal(2)))

# An exact product and sum may be fused here, and only here: the errors stated above include it.
DECORATED = '@njit(error_model="numpy", forceinline=True, fastmath={"contract"})'


def text(dtype: str) -> str:
    """The functions for arguments of a precision, as the beginning of a kernel's text."""
    made, real, whole = FORMATS[dtype], f"np.{dtype}", f"np.{dtype.replace('float', 'int')}"
    high = Fraction(math.floor(LN_2 * 2**made.exact_bits), 2**made.exact_bits)
    exp = polynomial(real, "r", [Fraction(1, math.factorial(k)) for k in range(2, made.exp_terms + 1)])
    tanh = polynomial(real, "s", tanh_series(made.tanh_terms)[1:])
    return f"""
{DECORATED}
def power(m):
    return {whole}(({whole}(m) + {made.bias}) << {made.mantissa}).view({real})


{DECORATED}
def exp(x):
    y = {real}({made.least}) if x < {real}({made.least}) else x
    y = {real}({made.largest}) if y > {real}({made.largest}) else y
    m = np.floor(y * {real}({float(1 / LN_2)!r}) + {real}(0.5))
    r = y - m * {real}({float(high)!r})
    r = r - m * {real}({float(LN_2 - high)!r})
    # 2^m alone may not be representable.
    half = np.floor(m * {real}(0.5))
    return ({exp} * r * r + r + {real}(1.0)) * power(half) * power(m - half)


{DECORATED}
def tanh(x):
    a = abs(x)
    t = {real}(1.0) - {real}(2.0) / (exp({real}(2.0) * a) + {real}(1.0))
    s = a * a
    t = {tanh} * s * a + a if a < {real}({SMALL}) else t
    return -t if x < {real}(0.0) else t


{DECORATED}
def sigmoid(x):
    return {real}(1.0) / ({real}(1.0) + exp(-x))


{DECORATED}
def softplus(x):
    return np.log1p(exp(-abs(x))) + (x if x > {real}(0.0) else {real}(0.0))
"""


def polynomial(real: str, x: str, coefficients: Sequence[Fraction]) -> str:
    """The text of ``c_0 + c_1 x + c_2 x² + …`` by Horner's scheme."""
    *rest, last = (f"{real}({float(c)!r})" for c in coefficients)
    result = last
    for coefficient in reversed(rest):
        result = f"({result} * {x} + {coefficient})"
    return result


def tanh_series(terms: int) -> list[Fraction]:
    """Coefficients of x, x³, x⁵, … of tanh, from ``tanh' = 1 - tanh²``."""
    found = [Fraction(1)]
    for k in range(1, terms):
        found.append(-sum((found[i] * found[k - 1 - i] for i in range(k)), Fraction(0)) / (2 * k + 1))
    return found
