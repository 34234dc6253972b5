"""A converter between analog and digital numbers."""

from __future__ import annotations

from dataclasses import dataclass

from neko.arguments import check_integer, check_number
from neko.backend.protocol import Backend
from neko.typing import Array

BITS = 24
"""Most bits of a converter: those of the significand in single precision."""


@dataclass(frozen=True)
class Quantiser:
    r"""An analog-to-digital or digital-to-analog converter: signed, symmetric, mid-tread, saturating.

    .. math::
        Q(u) = Δ\, \mathrm{sign}(u) \min\left( \left\lfloor \frac{|u|}{Δ} + \frac12 \right\rfloor, M \right),
        \qquad Δ = \frac{u_{max}}{M}, \qquad M = 2^{bits-1} - 1

    These are 2\ :sup:`bits` - 1 levels, equally spaced from -u\ :sub:`max` to u\ :sub:`max`; 0 is one of them. The
    derivative is taken to be 1 everywhere (straight-through, Bengio et al. 2013): rules pass credit back as if the
    converter was not there, at the values behind it, and a saturated value can return into the range.

    Parameters
    ----------
    bits : int
        Resolution, from 2 to 24.
    full_scale : float
        The largest value u\ :sub:`max`, in the unit of what is converted.

    Raises
    ------
    ValueError
        For other numbers of bits, and a range that is not finite and above 0.

    Notes
    -----
    Range and resolution are fixed; scaling an input by its largest entry, and repeating a saturated product at a
    smaller one (noise and bound management), are not included.

    References
    ----------
    Gokmen, Onen & Haensch (2017), "Training deep convolutional neural networks with resistive cross-point devices",
    Frontiers in Neuroscience 11, doi:10.3389/fnins.2017.00538, whose noise and bound management and whose backward
    products without the range of the forward ones are those of ``IOParameters`` in aihwkit (Rasch et al. 2021,
    arXiv:2104.02184); Bengio, Léonard & Courville (2013), arXiv:1308.3432.

    Examples
    --------
    >>> import neko
    >>> xp = neko.backend.get("torch")
    >>> Quantiser(bits=3, full_scale=1.5)(xp, xp.asarray([-9.0, -0.3, 0.2, 0.7])).tolist()
    [-1.5, -0.5, 0.0, 0.5]
    """

    bits: int
    full_scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", check_integer("bits", self.bits, least=2))
        if self.bits > BITS:
            raise ValueError(f"bits={self.bits!r}: expected from 2 to {BITS}; for an exact converter leave it out")
        object.__setattr__(self, "full_scale", float(check_number("full_scale", self.full_scale, positive=True)))

    @property
    def largest(self) -> int:
        """The largest code M."""
        return int(2 ** (self.bits - 1) - 1)

    def __call__(self, xp: Backend, u: Array) -> Array:
        """Q(u), of the shape of `u`, with the derivative of `u`."""
        step = self.full_scale / self.largest
        held = xp.stop_gradient(u) if xp.differentiable else u
        code = xp.minimum(xp.floor(xp.abs(held) * (1.0 / step) + 0.5), float(self.largest))
        value = step * xp.sign(held) * code
        return value + (u - held) if xp.differentiable else value
