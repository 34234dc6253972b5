"""An analog device of one's own: one class with one method.

neko device show examples/own_device.py:MyDevice --plot my_device.png
neko train --optimizer manhattan --device 'examples/own_device.py:MyDevice(p=2.0)'
"""

from dataclasses import dataclass

from neko.devices import Device


@dataclass(frozen=True)
class MyDevice(Device):
    """A memristor with Joglekar's window: the step vanishes at both bounds, as 1 - ĝ^2p."""

    p: float = 1.0

    def shape(self, xp, state, up):
        # Given the devices of an array: conductances state.g and their bounds, in siemens. Returned is the step of a
        # pulse up or down relative to the one at mid-range, which is dg_min: a number for each device, or one for all.
        position = (2.0 * state.g - state.upper - state.lower) / (state.upper - state.lower)  # -1 to 1
        return 1.0 - xp.abs(position) ** (2.0 * self.p)
