"""Electrochemical memories."""

from __future__ import annotations

from typing import Any

from neko.devices.base import Device
from neko.devices.constant import ConstantStep
from neko.devices.linear import LinearStep
from neko.devices.presets.normalised import Weights, linear
from neko.devices.presets.registry import PRESETS


@PRESETS.register(
    "organic_ecram",
    source="Melianas et al. 2020, doi:10.1126/sciadv.abb2958 (PMC7458436)",
    trust="The range of a factor of two, linear tuning, 20 ns, ±1 V, 80 fJ and more than 1e9 writes are measured. The "
    "absolute scale (100 to 200 µS), a hundred pulses across it and the noise of a tenth of a step are assumed.",
)
def organic_ecram(**options: Any) -> Device:
    """Organic ECRAM with an ion gel: linear over a factor of two, 80 fJ a pulse."""
    own = {"g_min": 1e-4, "g_max": 2e-4, "dg_min": 1e-6, "dg_min_std": 0.1, "pulse_energy": 80e-15, "pulse_time": 20e-9}
    return ConstantStep(**{**own, **options})


@PRESETS.register(
    "wox_ecram",
    source="Open-loop analog programmable electrochemical memory array, doi:10.1038/s41467-023-41958-4, figure 2",
    trust="The range, a hundred pulses across it, linear and symmetric, and 0.1 s a pulse are measured, one of six "
    "ranges from 0.1 to 230 µS. Noise and spread are small there and not stated; here they are zero.",
)
def wox_ecram(**options: Any) -> Device:
    """WOₓ ECRAM of a 10 × 10 array: linear, 60 to 100 µS in a hundred pulses."""
    own = {"g_min": 60e-6, "g_max": 100e-6, "dg_min": 0.4e-6, "pulse_time": 0.1}
    return ConstantStep(**{**own, **options})


@PRESETS.register(
    "ecram_mo",
    source="Kim et al., IEDM 2019; constants of aihwkit's EcRamMO",
    trust="Slopes are fitted to measured trains. The range was shifted there so that up and down steps are equal at "
    "weight 0; 1 to 100 µS is assumed here, and so is most of the spread there.",
)
def ecram_mo(**options: Any) -> Device:
    """Metal-oxide ECRAM: seven thousand small steps that shrink towards the bounds."""
    weights = Weights(2.8214e-4, w_min=-0.8286, w_max=1.1714)
    own = linear(weights, gamma_up=0.4152, gamma_down=0.7342, g_min=1e-6, g_max=1e-4)
    own |= {"dg_min_dtod": 0.1, "dg_min_std": 2.0, "g_max_dtod": 0.05}
    return LinearStep(**{**own, **options})
