"""Phase-change memory, and devices that are assumed."""

from __future__ import annotations

from typing import Any

from neko.devices.base import Device
from neko.devices.constant import ConstantStep
from neko.devices.exponential import ExponentialStep
from neko.devices.imperfections import Drift
from neko.devices.presets.normalised import Weights, exponential, steps
from neko.devices.presets.registry import PRESETS

RANGE = {"g_min": 0.0, "g_max": 25e-6}
"""Of phase-change memory."""


@PRESETS.register(
    "pcm",
    source="Nandakumar et al. 2020, doi:10.3389/fnins.2020.00406; constants of aihwkit's PCM, drift of Joshi et al. "
    "2020",
    trust="A model of mushroom cells of Ge₂Sb₂Te₅ fitted to many. Only up pulses are of phase-change memory: use the "
    "storage OneSidedPair, since down pulses here only mirror those up. The noise of a pulse has further parts "
    "there. 0 to 25 µS is the usual range of these cells.",
)
def pcm(**options: Any) -> Device:
    """Phase-change memory: up pulses only, steps that shrink exponentially, and drift."""
    weights = Weights(0.01, w_min=0.0, w_max=2.0)
    both = exponential(weights, a_up=-27.235, a_down=-2.235, gamma_up=2.5, gamma_down=2.5, a=-1.0, b=0.0, **RANGE)
    up = both["dg_min"] * (1.0 + both["up_down"])
    own: dict[str, Any] = {**RANGE, "dg_min": up, "dg_min_dtod": 0.2, "dg_min_std": 0.6, "g_max_dtod": 0.1}
    own |= {f"{name}_{way}": both[f"{name}_up"] for name in ("gamma", "share") for way in ("up", "down")}
    own |= {"imperfections": (Drift(nu=0.05),)}
    return ExponentialStep(**{**own, **options})


@PRESETS.register(
    "paper",
    source="Zhao et al. 2021, arXiv 2105.00324, section 3.3",
    trust="Round numbers for an idealised synapse; no device was measured.",
)
def paper(**options: Any) -> Device:
    """The range of the paper on Neko: 1e-6 to 2e-3 S in steps of 1e-5 S."""
    return ConstantStep(**{"g_min": 1e-6, "g_max": 2e-3, "dg_min": 1e-5, **options})


@PRESETS.register(
    "gokmen_vlasov",
    source="Gokmen & Vlasov 2016, doi:10.3389/fnins.2016.00333; constants of aihwkit's GokmenVlasov",
    trust="A specification of what training needs, not a device: 1,200 states and 30 % spread of everything. 1 to 100 "
    "µS is assumed.",
)
def gokmen_vlasov(**options: Any) -> Device:
    """What a device must do for training by pulse coincidences: 1,200 states, 30 % spread."""
    own = steps(Weights(0.0016), 1.0, 1.0, 1e-6, 1e-4)
    return ConstantStep(**{**own, "dg_min_dtod": 0.3, "dg_min_std": 0.3, "g_max_dtod": 0.3, **options})


@PRESETS.register(
    "ideal",
    source="none",
    trust="No device; what remains of an error with it is not the device's fault.",
)
def ideal(**options: Any) -> Device:
    """An idealised device: 10,000 equal steps without noise or spread."""
    return ConstantStep(**{"g_min": 1e-6, "g_max": 1e-4, "dg_min": 99e-10, **options})
