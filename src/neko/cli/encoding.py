"""``neko encode``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from neko.cli import common
from neko.cli.common import console


def encode(
    signal: Annotated[
        Path,
        typer.Argument(
            metavar="SIGNAL",
            help="CSV, a column for each channel, with or without a line of names; NPY, (time,) or (time, channels); "
            "or WAV, scaled to -1 … 1.",
        ),
    ],
    method: Annotated[
        str, typer.Option(help="A code with its options, such as 'burst(high=5.0)', or file.py:Class.")
    ] = "step_forward",
    out: Annotated[Path | None, typer.Option(help="Write the spikes here: .npy or .csv.")] = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw signal, spikes and reconstruction into a PNG beside `out` or SIGNAL.")
    ] = False,
) -> None:
    """Turn a signal into spikes, and print how many there are and what can be decoded from them."""
    from neko import encoders
    from neko.io import signals

    code = encoders.resolve(method)
    if out is not None:
        signals.check_target(out)
    names, x = signals.read(signal)
    clipped(code, x)
    spikes = code.encode(x[None])[0]
    inverted = isinstance(code, encoders.Encoder) and code.invertible
    decoded = encoders.measures.reconstruction(code, x[None], spikes[None])[0] if inverted else None
    console.print(table(f"{signal.name} by {method}", names, x, spikes, decoded))
    if out is not None:
        common.say(f"Spikes {spikes.shape}: {signals.write(out, names_of_spikes(names, code, spikes), spikes)}")
    if plot:
        from neko import plots

        target = (out or signal).with_suffix(".png")
        common.say(f"Figure: {plots.save(plots.encoding(x, spikes, decoded, names=names), target)}")


def clipped(code: Any, x: np.ndarray) -> None:
    """Warn if samples lie outside the range of a code."""
    from neko.encoders import RangedEncoder

    if isinstance(code, RangedEncoder) and (part := np.mean((x < code.low) | (x > code.high))):
        warnings.warn(
            f"{100 * part:.2g} % of the samples lie outside low={code.low!r} to high={code.high!r} and are clipped; "
            f"the signal is from {x.min():.4g} to {x.max():.4g}",
            stacklevel=2,
        )


def table(title: str, names: list[str], x: np.ndarray, spikes: np.ndarray, decoded: np.ndarray | None) -> Table:
    """A row for each channel, and one for all."""
    from neko.encoders import measures

    found = Table(title=escape(title))
    found.add_column("channel")
    for heading in ("samples", "spikes", "spikes per sample", "SNR", "RMSE"):
        found.add_column(heading, justify="right")
    channels = x.shape[1]
    rows = [(name, slice(c, None, channels), slice(c, c + 1)) for c, name in enumerate(names)]
    for name, own, column in [*rows, ("all", slice(None), slice(None))][: None if channels > 1 else 1]:
        z, s = spikes[:, own], x[:, column]
        errors = ("–", "–")
        if decoded is not None:
            ratio, error = measures.snr(s, decoded[:, column]), measures.rmse(s, decoded[:, column])
            errors = (f"{ratio:.1f} dB", f"{error:.3g}")
        found.add_row(escape(name), f"{s.size}", f"{np.abs(z).sum():.0f}", f"{measures.density(z, s):.3f}", *errors)
    return found


def names_of_spikes(names: list[str], code: Any, spikes: np.ndarray) -> list[str]:
    """Names of the channels of spikes, from those of the signal."""
    each = spikes.shape[1] // len(names)
    if each == 1:
        return names
    parts = ["up", "down"] if getattr(code, "split", False) else [str(k) for k in range(each)]
    return [f"{name} {part}" for part in parts for name in names]
