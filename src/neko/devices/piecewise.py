"""A device whose step is interpolated between measured values."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from itertools import pairwise

from neko.arguments import as_list, is_real, plain
from neko.backend.protocol import Backend
from neko.devices.base import DEVICES, Device
from neko.devices.position import relative
from neko.devices.state import DeviceState
from neko.typing import Array


@DEVICES.register("piecewise")
@dataclass(frozen=True)
class PiecewiseStep(Device):
    r"""A step interpolated between values at equally spaced conductances, ``Δg = d Δ v_d(ĝ)``.

    The first value of v holds at the lower bound, the last at the upper, and others at equal distances between them;
    between two values v is linear. Values are relative to Δ: a step at mid-range has size Δ if the middle one of an odd
    number of values is 1, as it is in what `neko.devices.fit` returns. Other parameters as for `Device`.

    Parameters
    ----------
    nodes_up, nodes_down : sequence of float
        Two or more values of v for up and for down pulses, at least 0; their numbers may differ.

    References
    ----------
    The piecewise-step device of Rasch et al. (2021), arXiv 2104.02184.
    """

    _: KW_ONLY
    nodes_up: tuple[float, ...] = (1.5, 1.0, 0.5)
    nodes_down: tuple[float, ...] = (0.5, 1.0, 1.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("nodes_up", "nodes_down"):
            nodes = tuple(plain(v) for v in as_list(name, getattr(self, name), "[1.5, 1.0, 0.5]"))
            if len(nodes) < 2 or not all(is_real(v) and v >= 0.0 for v in nodes):
                raise ValueError(f"{name}={nodes!r}: expected two or more finite numbers of at least 0")
            object.__setattr__(self, name, nodes)

    def shape(self, xp: Backend, state: DeviceState, up: bool) -> Array | float:
        nodes = self.nodes_up if up else self.nodes_down
        place = 0.5 * (len(nodes) - 1) * (1.0 + relative(xp, state))  # 0 at the first node, 1 at the second, ...
        value = nodes[0] + xp.zeros_like(place)
        for k, (left, right) in enumerate(pairwise(nodes)):
            value = value + (right - left) * xp.maximum(xp.minimum(place - k, 1.0), 0.0)
        return value
