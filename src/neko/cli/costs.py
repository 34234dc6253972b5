"""What learning cost the chip, in plain words and units."""

from __future__ import annotations

from matplotlib.ticker import EngFormatter
from rich.table import Table

from neko.training.history import History

COSTS = {
    "pulses": "pulses per device, mean",
    "at_bounds": "devices at a bound of their range",
    "stuck": "devices stuck from the beginning",
    "worn_out": "devices worn out",
    "refreshes": "refreshes per weight, mean",
    "write_energy": "energy of all pulses",
    "write_time": "time of writing, if all devices are pulsed at once",
}
"""The measures of `neko.updates.analog.costs`, in words."""
UNITS = {"write_energy": "J", "write_time": "s"}
FRACTIONS = ("at_bounds", "stuck", "worn_out")


def table(history: History) -> Table | None:
    """The costs that a history has, after its last epoch; None if no device holds the weights."""
    found = [name for name in COSTS if name in history]
    if "pulses" not in found:
        return None
    costs = Table("what it cost the chip", "so far", title=f"Devices after {history.epochs} epochs")
    for name in found:
        costs.add_row(COSTS[name], said(name, history[name][-1]))
    return costs


def said(name: str, value: float) -> str:
    """A cost with its unit."""
    if name in FRACTIONS:
        return f"{100.0 * value:.3g} %"
    return EngFormatter(UNITS[name], places=3)(value) if name in UNITS else f"{value:.4g}"
