"""How analog devices answer pulses, as modelled and as measured."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neko import backend as backends
from neko.devices import Device
from neko.devices.fitting import Fit
from neko.devices.fitting.curves import Curve, curves

UP, DOWN, MEASURED = "#0072B2", "#D55E00", "#7F7F7F"
DEVICES, PULSES, POINTS = 60, 1000, 101
"""Devices that are drawn, the largest number of pulses, and conductances at which the step is drawn."""


class Response(NamedTuple):
    """Conductances (pulses + 1, devices) of pulses up from the lower bounds and down from the upper; steps up and down
    (POINTS,) at conductances `g` of a device without spread; and its symmetry point; all in siemens."""

    up: np.ndarray
    down: np.ndarray
    g: np.ndarray
    step_up: np.ndarray
    step_down: np.ndarray
    symmetry: float


def response(device: Device, *, pulses: int | None = None, seed: int = 0) -> Response:
    """Pulses to 60 devices on the default backend, by default enough to cross the range one and a half times."""
    xp: Any = backends.get(backends.default(), dtype="float64")
    span = device.g_max - device.g_min
    count = min(PULSES, int(np.ceil(1.5 * span / device.dg_min))) if pulses is None else pulses
    with xp.scope():
        paths = []
        for sign, start in ((1.0, device.g_min), (-1.0, device.g_max)):
            state = device.init(xp, xp.random.key(seed), xp.full((DEVICES,), start))
            state = device.program(xp, state, state.lower if sign > 0 else state.upper)
            path = [xp.to_numpy(device.apparent(xp, state)) + np.zeros(DEVICES)]
            for k in range(count):
                state = device.pulse(xp, xp.random.key(seed + 1 + k), state, xp.full((DEVICES,), sign))
                path.append(np.array(xp.to_numpy(device.apparent(xp, state))))
            paths.append(np.array(path))
        g = np.linspace(device.g_min, device.g_max, POINTS)
        state = device.init(xp, xp.random.key(seed), xp.asarray(g))
        steps = [
            device.dg_min * sign * np.broadcast_to(xp.to_numpy(xp.ones(()) * device.shape(xp, plain, up)), g.shape)
            for up, sign in ((True, 1.0 + device.up_down), (False, 1.0 - device.up_down))
            for plain in (state._replace(g=xp.asarray(g), **middle(xp, device)),)
        ]
        one = state._replace(g=xp.full((1,), device.g_mid), **middle(xp, device))
        symmetry = float(xp.to_numpy(device.symmetry_point(xp, one))[0])
    return Response(paths[0], paths[1], g, steps[0], steps[1], symmetry)


def middle(xp: Any, device: Device) -> dict[str, Any]:
    """Fields of the state of a device without spread."""
    steps = {"step_up": device.dg_min * (1.0 + device.up_down), "step_down": device.dg_min * (1.0 - device.up_down)}
    values = {**steps, "lower": device.g_min, "upper": device.g_max}
    return {name: xp.full((), value) for name, value in values.items()}


def device(device: Device, *, title: str = "", pulses: int | None = None, seed: int = 0) -> Figure:
    """Pulse response up and down with its spread, and the step against the conductance.

    Parameters
    ----------
    device : Device
    title : str
    pulses : int, optional
        By default as many as lead through the range one and a half times, up to 1,000.
    seed : int
        Of spread and noise.
    """
    found = response(device, pulses=pulses, seed=seed)
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for path, colour, label in ((found.up, UP, "up"), (found.down, DOWN, "down")):
        spread(left, path, colour, label)
    left.axhline(1e6 * found.symmetry, color="black", linewidth=0.8, linestyle="--", label="symmetry point")
    left.set(xlabel="pulse", ylabel="conductance (µS)")
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize="small"
    )
    steps(right, found)
    figure.suptitle(title or type(device).__name__, fontsize="medium")
    return figure


def spread(axes: Axes, path: np.ndarray, colour: str, label: str) -> None:
    """The median of devices, 5 to 95 % of them, and two of them."""
    p, low, high = np.arange(len(path)), *np.percentile(1e6 * path, [5.0, 95.0], axis=1)
    axes.fill_between(p, low, high, color=colour, alpha=0.2, linewidth=0.0)
    axes.plot(p, 1e6 * path[:, :2], color=colour, linewidth=0.4)
    axes.plot(p, 1e6 * np.median(path, axis=1), color=colour, linewidth=1.5, label=label)


def steps(axes: Axes, found: Response) -> None:
    """Steps up and down against the conductance."""
    axes.plot(1e6 * found.g, 1e6 * found.step_up, color=UP, label="up")
    axes.plot(1e6 * found.g, 1e6 * found.step_down, color=DOWN, label="down")
    axes.axvline(1e6 * found.symmetry, color="black", linewidth=0.8, linestyle="--")
    axes.set(xlabel="conductance (µS)", ylabel="step (µS)")
    axes.set_ylim(bottom=0.0)


def fitted(fit: Fit, *, trains: int = 6) -> Figure:
    """Measured trains beside those of the fitted law without noise.

    Parameters
    ----------
    fit : Fit
    trains : int
        Largest number of trains up and of trains down that are drawn, from the first.
    """
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    both: list[list[Curve]] = [[], []]
    for curve in curves(fit):
        both[0 if curve.up else 1].append(curve)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, group, colour, label in zip(panels, both, (UP, DOWN), ("up", "down"), strict=True):
        for k, curve in enumerate(group[:trains]):
            p = np.arange(len(curve.measured))
            axes.plot(
                p, 1e6 * curve.measured, ".", color=MEASURED, markersize=1.5, label="measured" if k == 0 else None
            )
            axes.plot(p, 1e6 * curve.model, color=colour, linewidth=1.5, label=fit.law if k == 0 else None)
        axes.set(xlabel=f"pulse {label}")
        if group:
            axes.legend(frameon=False, fontsize="small")
    panels[0].set_ylabel("conductance (µS)")
    return figure
