"""Resistive memories."""

from __future__ import annotations

from typing import Any

from neko.devices.base import Device
from neko.devices.exponential import ExponentialStep
from neko.devices.imperfections import Stuck
from neko.devices.linear import LinearStep
from neko.devices.presets.normalised import Weights, exponential, steps, write_noise
from neko.devices.presets.registry import PRESETS
from neko.devices.soft_bounds import SoftBounds

RANGE = {"g_min": 1e-6, "g_max": 1e-4}
"""Of filamentary oxide memories, by order of magnitude; the sources below have no unit."""


@PRESETS.register(
    "hfo2_reram",
    source="Gong, Rasch et al., IEDM 2022; constants of aihwkit's ReRamArrayHfO2",
    trust="An array was measured, which is more than most presets have. Steps from device to device are log-normal "
    "there and normal here; both bounds scale together here, and stop at zero; 1 to "
    "100 µS is assumed. With about four states a pulse is too coarse for weights written one pulse at a time.",
)
def hfo2_reram(**options: Any) -> Device:
    """HfO₂ ReRAM of an array: soft bounds, about four states, and a tenth of the devices stuck."""
    weights = Weights(0.4622)
    own: dict[str, Any] = {**steps(weights, 1.0, 1.0, **RANGE), "dg_min_dtod": 0.7125, "dg_min_std": 0.2174}
    own |= {"g_max_dtod": 0.5 * (0.4295 + 0.5990)}
    own |= {"imperfections": (Stuck(at_random=0.0977), write_noise(0.5841, weights, own))}
    return SoftBounds(**{**own, **options})


@PRESETS.register(
    "reram_es",
    source="Gong et al. 2018, doi:10.1038/s41467-018-04485-1; constants of aihwkit's ReRamES",
    trust="A fit to one device, noise included: the noise of a pulse is five times its step. Spread from device to "
    "device is assumed there; 1 to 100 µS is assumed here.",
)
def reram_es(**options: Any) -> Device:
    """HfO₂ ReRAM: exponential steps, a thousand small ones, and noise far above a step."""
    weights = Weights(0.00135, up_down=0.259359)
    own: dict[str, Any] = exponential(
        weights, a_up=-1.18445, a_down=-0.081404, gamma_up=5.0, gamma_down=5.0, a=-0.5, b=-0.5, **RANGE
    )
    own |= {"dg_min_dtod": 0.2, "dg_min_std": 5.0, "g_max_dtod": 0.3}
    own |= {"imperfections": (write_noise(75.0, weights, own),)}
    return ExponentialStep(**{**own, **options})


@PRESETS.register(
    "ag_asi",
    source="Jo et al. 2010, doi:10.1021/nl904092h; constants of NeuroSim (Chen, Peng & Yu 2018)",
    trust="Fitted to one device by NeuroSim. Conductances are measured, in siemens. Its cycle-to-cycle noise, 3.5 % "
    "of the range, is the same everywhere; here it is relative to the step, and right at mid-range. Spread is "
    "not stated.",
)
def ag_asi(**options: Any) -> Device:
    """Ag:a-Si memristor: 3 to 38 nS, 97 pulses up and 100 down, strongly curved."""
    low, high = 3.0769e-9, 38.462e-9
    # the labels of non-linearity 2.4 and 4.88 stand for these A in NeuroSim's table
    device = LinearStep.saturating(
        a_up=0.4992, a_down=0.2003, pulses_up=97, pulses_down=100, g_min=low, g_max=high, pulse_time=300e-6
    )
    own = {name: getattr(device, name) for name in ("g_min", "g_max", "dg_min", "up_down", "gamma_up", "gamma_down")}
    own |= {"dg_min_std": 0.035 * (high - low) / device.dg_min, "pulse_time": device.pulse_time}
    return LinearStep(**{**own, **options})
