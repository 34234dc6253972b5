"""The command line: ``neko`` with demo, train, show, sample, compare, verify and data."""

from __future__ import annotations

import typer

from neko.cli import comparison, data, demo, sampling, training, verification

app = typer.Typer(add_completion=False, help="Learning rules of the brain and of neuromorphic hardware.")
app.command()(demo.demo)
app.command()(training.train)
app.command()(training.show)
app.command()(sampling.sample)
app.command()(comparison.compare)
app.command()(verification.verify)
app.add_typer(data.app, name="data")

__all__ = ["app"]
