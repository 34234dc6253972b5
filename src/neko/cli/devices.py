"""``neko device``: laws, presets, and fits of measured devices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from neko.cli import common
from neko.cli.common import console

app = typer.Typer(help="Analog devices: laws, presets, and a device of your own from its pulses.", no_args_is_help=True)


@app.command("list")
def listing() -> None:
    """List the laws of a step and the presets, with their sources and how far to trust them."""
    from neko import devices

    laws = Table("name", "what it is", title="Laws")
    for name in devices.DEVICES:
        laws.add_row(name, escape(devices.DEVICES.summary(name)))
    presets = Table("name", "what it is", "source", "how far to trust it", title="Presets")
    for name in devices.PRESETS:
        about = devices.PRESETS.about(name)
        presets.add_row(name, *(escape(about[key]) for key in ("summary", "source", "trust")))
    console.print(laws)
    console.print(presets)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="DEVICE", help="A law, a preset, a file .json or file.py:Class, with options in brackets."
        ),
    ],
    plot: Annotated[Path | None, typer.Option(help="Draw the pulse response and the step into this file.")] = None,
) -> None:
    """Show the constants of a device, its number of levels and its symmetry point."""
    from neko import devices, plots
    from neko.devices import PRESETS
    from neko.registry import called

    if plot is not None:
        plots.format_of(plot)
    made = devices.make(name)
    device = made.device if isinstance(made, devices.Storage) else made
    found = plots.response(device, pulses=1)
    table = Table("constant", "value", title=escape(name), title_justify="left")
    for field, value in vars(device).items():
        table.add_row(escape(field), escape(repr(value)))
    table.add_section()
    table.add_row("pulses across the range", f"{(device.g_max - device.g_min) / device.dg_min:.4g}")
    table.add_row("symmetry point", f"{found.symmetry:.4g} S")
    console.print(table)
    if (preset := called(name)[0]) in PRESETS:
        about = PRESETS.about(preset)
        common.say(f"{about['summary']} Source: {about['source']}. {about['trust']}")
    if plot is not None:
        common.say(f"Figure: {plots.save(plots.device(device, title=name), plot)}")


@app.command()
def fit(
    pulses: Annotated[
        Path,
        typer.Argument(metavar="PULSES", help="CSV: pulse, conductance, and direction, device, cycle; or up, down."),
    ],
    model: Annotated[str, typer.Option(help="A law, file.py:Class, or auto for the best of all laws.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Write the device here, as .json, for --device.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw measured and modelled trains into this file.")] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Names of columns, pulse=n,conductance=G; of a file without names all of them: up,down."),
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of conductances: S, mS, uS, nS, pS, or relative if they have none.")
    ] = None,
    direction: Annotated[str | None, typer.Option(help="up or down, of a file without a column for it.")] = None,
    g_range: Annotated[
        str | None,
        typer.Option(
            "--range", help="Bounds of the device in the unit of the file, 0.1,2.5; or fit. Default: measured."
        ),
    ] = None,
    siemens: Annotated[
        str | None, typer.Option(help="What the bounds are in siemens, for unit relative: 1e-6,1e-4.")
    ] = None,
    fix: Annotated[
        list[str] | None, typer.Option(help="A constant that is known, gamma_up=0.5; may be repeated.")
    ] = None,
) -> None:
    """Fit the laws to measured pulse trains; print constants with 95 % intervals, and write the device."""
    from neko import devices, plots

    if plot is not None:
        plots.format_of(plot)
    if out is not None and out.suffix.lower() != ".json":
        raise ValueError(f"out={str(out)!r}: expected a path that ends in .json")
    options: dict[str, Any] = {"columns": columns_of(columns), "unit": unit, "direction": direction}
    bounds: Any = g_range if g_range in (None, "fit") else numbers("range", str(g_range))
    ends: Any = None if siemens is None else numbers("siemens", siemens)
    found = devices.fit(pulses, model, g_range=bounds, siemens=ends, fixed=fixed_of(fix or []), **options)
    console.print(compared(found))
    console.print(constants(found))
    if plot is not None:
        common.say(f"Figure: {plots.save(plots.fitted(found), plot)}")
    device = found.device  # or an error that says what is not determined
    if out is not None:
        about = {"fitted to": pulses.name, "residual": found.residual, "BIC": found.bic, "measured": found.measured}
        common.say(f"Device: {devices.save(out, device, about=about)}")


def compared(found: Any) -> Table:
    """All laws, the best first."""
    title = f"{found.measured} conductances of {found.devices} device{'s' if found.devices > 1 else ''}"
    table = Table("law", title=title, title_justify="left")
    for heading in ("residual (S)", "AICc", "BIC above the best"):
        table.add_column(heading, justify="right")
    table.add_column("not determined")
    for one in found.compared:
        row = (f"{one.residual:.3g}", f"{one.aicc:.1f}", f"{one.bic - found.bic:.1f}")
        table.add_row(escape(one.law), *row, escape(", ".join(one.undetermined)) or "–")
    return table


def constants(found: Any) -> Table:
    """Constants of the best law with their intervals."""
    table = Table("constant", title=escape(f"{found.law}: constants with intervals of 95 %"), title_justify="left")
    for heading in ("value", "from", "to"):
        table.add_column(heading, justify="right")
    table.add_column("unit")
    for name, e in found.estimates.items():
        if e.determined:
            limits = ("held", "") if e.low == e.high else (f"{e.low:.4g}", f"{e.high:.4g}")
        else:
            limits = ("not determined" if name in found.undetermined else "–", "")
        table.add_row(escape(name), f"{e.value:.4g}", *limits, e.unit)
    return table


def columns_of(text: str | None) -> Any:
    """``pulse=n,conductance=G`` as a dict, ``up,down`` as a list."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not any("=" in part for part in parts):
        return parts
    return dict(split("columns", part) for part in parts)


def split(option: str, text: str) -> tuple[str, str]:
    name, equal, value = text.partition("=")
    if not (name and equal and value):
        raise ValueError(f"{option}={text!r}: expected name=value")
    return name.strip(), value.strip()


def fixed_of(texts: list[str]) -> dict[str, float]:
    """``name=value`` as numbers by name."""
    return {name: numbers("fix", value)[0] for name, value in (split("fix", text) for text in texts)}


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Numbers between commas."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{option}={text!r}: expected numbers, such as 1e-6,1e-4") from error
