"""Networks in the integer formats of Intel's Loihi, computed as the chip computes them."""

from neko.exchange.fixed_point.network import FixedPoint, Loihi, to_loihi

__all__ = ["FixedPoint", "Loihi", "to_loihi"]
