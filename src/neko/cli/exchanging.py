"""``neko import`` and ``neko export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from neko.cli import common
from neko.cli.common import console

METHOD = "Decay of a step: exponential, exp(-dt/tau), or euler, 1 - dt/tau."


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A network as NIR, such as net.nir.")],
    dt: Annotated[float | None, typer.Option(help="Length of a step in ms, which NIR does not have.")] = None,
    method: Annotated[str | None, typer.Option(help=METHOD)] = None,
    reset: Annotated[
        str | None, typer.Option(help="In place of the reset to v_reset: subtract, where the network did that.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="By default FILE with the suffix .safetensors.")] = None,
) -> None:
    """Read the network of another library, print what is kept and lost, and write it for `neko train --network`."""
    from neko import backend, exchange

    xp = backend.get(backend.default(), dtype="float64")
    found = exchange.from_nir(file, xp, dt=dt, method=method, reset=reset)
    console.print(table(f"{file.name} as a network of Neko", found.report))
    common.say(f"Network: {exchange.save_network(found.model, out or file.with_suffix('.safetensors'))}")


def export(
    network: Annotated[
        Path, typer.Argument(metavar="NETWORK", help="Folder of a run, or a file that `neko import` wrote.")
    ],
    nir: Annotated[Path | None, typer.Option(help="Write it as NIR to this file.")] = None,
    torch: Annotated[Path | None, typer.Option(help="Write it as programs of PyTorch, such as net.pt2.")] = None,
    onnx: Annotated[Path | None, typer.Option(help="Write its step as ONNX, such as net.onnx.")] = None,
    loihi: Annotated[
        Path | None, typer.Option(help="Write it in the integers of Loihi, such as net.npz, and compare accuracies.")
    ] = None,
    bits: Annotated[int, typer.Option(help="Bits of a weight with its sign, for --loihi.")] = 8,
    hub: Annotated[
        Path | None,
        typer.Option(help="Write weights, configuration and card to this folder."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Of the weights, for --hub, such as mit.")] = None,
    method: Annotated[str, typer.Option(help=METHOD)] = "exponential",
    alif: Annotated[bool, typer.Option("--alif", help="Write ALIF as a sub-graph, which few readers know.")] = False,
) -> None:
    """Write a network for other libraries, and print what is kept and lost."""
    from neko import exchange

    written = [path for path in (nir, torch, onnx, loihi, hub) if path is not None]
    if not written:
        raise ValueError("no format is given: expected --nir, --torch, --onnx, --loihi or --hub with a path")
    found = loaded(network)
    if nir is not None:
        report = exchange.to_nir(found, nir, method=method, alif=alif)
        console.print(table(f"{network.name} as NIR", report))
    if torch is not None:
        exchange.to_torch(found, torch)
    if onnx is not None:
        exchange.to_onnx(found, onnx)
    if loihi is not None:
        report = exchange.to_loihi(found, loihi, bits=bits).report
        console.print(table(f"{network.name} on Loihi", report))
        if network.is_dir():
            console.print(compared(network, bits))
    if hub is not None:
        write_hub(network, found, hub, licence)
    for path in written:
        common.say(f"Network: {path}")


def loaded(path: Path) -> Any:
    """The network of a run's last checkpoint, or of a file."""
    from neko import backend, exchange, runs

    if path.is_dir():
        return runs.load(path).rule.model.model
    return exchange.load_network(path, backend.get(backend.default(), dtype="float64"))


def write_hub(network: Path, model: Any, hub: Path, licence: str | None) -> None:
    """Write a hub's folder: of a run with its evaluator, its rule, its data and what is measured of held-out data."""
    from neko import exchange, runs

    if not network.is_dir():
        exchange.save_pretrained(model, hub, licence=licence)
        return
    run = runs.of(runs.read_config(network / runs.CONFIG), network)
    evaluator, data = run.trainer.rule.model, run.data
    measures = evaluator.evaluate(data.x_test, data.y_test, data.mask_test)
    told = {"rule": getattr(run.config, run.config.chosen), "data": run.config.data}
    exchange.save_pretrained(
        evaluator, hub, licence=licence, measures={f"test {name}": value for name, value in measures.items()}, **told
    )


def compared(folder: Path, bits: int) -> Table:
    """Loss and metrics of a run's test data in float, and with weights of several numbers of bits."""
    from neko import runs
    from neko.runs import fixed_point

    run = runs.of(runs.read_config(folder / runs.CONFIG), folder)
    found = fixed_point.compared(run.trainer.rule.model, run.data, sorted({8, 6, 4, bits}, reverse=True))
    shown = Table("numbers", *next(iter(found.values())), title="Test data in float and in integers")
    for name, measures in found.items():
        shown.add_row(name, *(f"{value:.4g}" for value in measures.values()))
    return shown


def table(title: str, report: Any) -> Table:
    """A row for each node."""
    found = Table(*report.entries[0]._fields, title=escape(title))
    for entry in report.entries:
        found.add_row(*map(escape, entry))
    return found
